################################################################################
#
# a7670e
#
################################################################################

A7670E_VERSION = 0.1.0
A7670E_SITE = $(or $(call qstrip,$(BR2_PACKAGE_A7670E_SITE)),file://$(BR2_EXTERNAL_A7670E_PATH)/dist)
A7670E_LICENSE = MIT or Apache-2.0
A7670E_LICENSE_FILES = LICENSE-APACHE LICENSE-MIT

# The control socket and the modem's ports are its group's.
define A7670E_USERS
	a7670e -1 a7670e -1 * - - - SIMCom LTE modem service
endef

# The modem's drivers, and what the service asks of the network. simcom-wwan
# takes care of the one that needs a patch.
A7670E_KCONFIG = $(filter-out CONFIG_USB_NET_SIMCOM_WWAN, \
	$(shell sed -n 's/^\(CONFIG_[A-Z0-9_]*\)=.*/\1/p' $(A7670E_PKGDIR)/linux.config))

define A7670E_LINUX_CONFIG_FIXUPS
	$(foreach option,$(A7670E_KCONFIG),$(call KCONFIG_ENABLE_OPT,$(option))$(sep))
endef

define A7670E_INSTALL_MODPROBE
	$(INSTALL) -D -m 0644 $(A7670E_PKGDIR)/a7670e-modprobe.conf \
		$(TARGET_DIR)/etc/modprobe.d/a7670e.conf
endef
A7670E_POST_INSTALL_TARGET_HOOKS += A7670E_INSTALL_MODPROBE

ifeq ($(BR2_PACKAGE_HAS_UDEV),y)
define A7670E_INSTALL_UDEV
	$(INSTALL) -D -m 0644 $(A7670E_PKGDIR)/60-a7670e.rules \
		$(TARGET_DIR)/usr/lib/udev/rules.d/60-a7670e.rules
	$(INSTALL) -D -m 0644 $(A7670E_PKGDIR)/78-a7670e-modemmanager.rules \
		$(TARGET_DIR)/usr/lib/udev/rules.d/78-a7670e-modemmanager.rules
	$(INSTALL) -D -m 0644 $(A7670E_PKGDIR)/81-a7670e-modemmanager.rules \
		$(TARGET_DIR)/usr/lib/udev/rules.d/81-a7670e-modemmanager.rules
endef
A7670E_POST_INSTALL_TARGET_HOOKS += A7670E_INSTALL_UDEV
endif

# busybox brings /etc/mdev.conf, or an overlay does: ours goes to its end, when
# all are there. Rules before it match no network device.
ifeq ($(BR2_ROOTFS_DEVICE_CREATION_DYNAMIC_MDEV),y)
define A7670E_INSTALL_MDEV
	$(INSTALL) -D -m 0755 $(A7670E_PKGDIR)/mdev-event \
		$(TARGET_DIR)/usr/libexec/a7670e/mdev-event
endef
A7670E_POST_INSTALL_TARGET_HOOKS += A7670E_INSTALL_MDEV

define A7670E_MDEV_CONF
	grep -q a7670e $(TARGET_DIR)/etc/mdev.conf || \
		cat $(A7670E_PKGDIR)/mdev.conf >> $(TARGET_DIR)/etc/mdev.conf
endef
A7670E_TARGET_FINALIZE_HOOKS += A7670E_MDEV_CONF
endif

ifeq ($(BR2_PACKAGE_DBUS),y)
define A7670E_INSTALL_DBUS
	$(INSTALL) -D -m 0644 $(A7670E_PKGDIR)/a7670e-dbus.conf \
		$(TARGET_DIR)/usr/share/dbus-1/system.d/a7670e.conf
endef
A7670E_POST_INSTALL_TARGET_HOOKS += A7670E_INSTALL_DBUS
endif

ifeq ($(BR2_PACKAGE_POLKIT),y)
define A7670E_INSTALL_POLKIT
	$(INSTALL) -D -m 0644 $(A7670E_PKGDIR)/70-a7670e.rules \
		$(TARGET_DIR)/usr/share/polkit-1/rules.d/70-a7670e.rules
endef
A7670E_POST_INSTALL_TARGET_HOOKS += A7670E_INSTALL_POLKIT
endif

define A7670E_INSTALL_INIT_SYSTEMD
	$(INSTALL) -D -m 0644 $(A7670E_PKGDIR)/a7670e.service \
		$(TARGET_DIR)/usr/lib/systemd/system/a7670e.service
	$(INSTALL) -D -m 0644 $(A7670E_PKGDIR)/a7670e-first-boot.service \
		$(TARGET_DIR)/usr/lib/systemd/system/a7670e-first-boot.service
	$(INSTALL) -D -m 0644 $(A7670E_PKGDIR)/70-a7670e.link \
		$(TARGET_DIR)/usr/lib/systemd/network/70-a7670e.link
	$(INSTALL) -D -m 0644 $(A7670E_PKGDIR)/a7670e-modules.conf \
		$(TARGET_DIR)/usr/lib/modules-load.d/a7670e.conf
endef

define A7670E_INSTALL_INIT_SYSV
	$(INSTALL) -D -m 0755 $(A7670E_PKGDIR)/S20a7670e-first-boot \
		$(TARGET_DIR)/etc/init.d/S20a7670e-first-boot
	$(INSTALL) -D -m 0755 $(A7670E_PKGDIR)/S35a7670e \
		$(TARGET_DIR)/etc/init.d/S35a7670e
	$(INSTALL) -D -m 0755 $(A7670E_PKGDIR)/supervise \
		$(TARGET_DIR)/usr/libexec/a7670e/supervise
endef

ifeq ($(BR2_PACKAGE_A7670E_PREBUILT),y)

A7670E_SOURCE = a7670e_$(A7670E_VERSION)-1_arm64.deb

# A .deb is an ar archive, whose data.tar is the files.
define A7670E_EXTRACT_CMDS
	cd $(@D) && ar x $(A7670E_DL_DIR)/$(A7670E_SOURCE)
	cd $(@D) && $(TAR) -xf data.tar.*
	cp $(A7670E_PKGDIR)/../../LICENSE-* $(@D)
endef

define A7670E_INSTALL_TARGET_CMDS
	$(INSTALL) -D -m 0755 $(@D)/usr/bin/a7670e $(TARGET_DIR)/usr/bin/a7670e
endef

$(eval $(generic-package))

else

# The crates are in the archive, so that no crate registry is asked.
A7670E_SOURCE = a7670e-$(A7670E_VERSION)-vendored.tar.xz

# As the release is built: a small program that stops rather than wraps.
A7670E_CARGO_ENV = \
	CARGO_PROFILE_RELEASE_OPT_LEVEL=z \
	CARGO_PROFILE_RELEASE_LTO=fat \
	CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1 \
	CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS=true

# The workspace has the build tool and the emulator, too.
A7670E_CARGO_BUILD_OPTS = --package a7670e

$(eval $(cargo-package))

endif
