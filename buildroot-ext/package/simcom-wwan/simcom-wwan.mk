################################################################################
#
# simcom-wwan
#
################################################################################

SIMCOM_WWAN_LICENSE = GPL-2.0
SIMCOM_WWAN_DEPENDENCIES = linux

define SIMCOM_WWAN_LINUX_CONFIG_FIXUPS
	$(call KCONFIG_ENABLE_OPT,CONFIG_USB_SUPPORT)
	$(call KCONFIG_ENABLE_OPT,CONFIG_USB)
	$(call KCONFIG_ENABLE_OPT,CONFIG_NETDEVICES)
	$(call KCONFIG_ENABLE_OPT,CONFIG_USB_NET_DRIVERS)
	$(call KCONFIG_ENABLE_OPT,CONFIG_USB_USBNET)
	$(call KCONFIG_ENABLE_OPT,CONFIG_USB_SERIAL)
	$(call KCONFIG_ENABLE_OPT,CONFIG_USB_SERIAL_OPTION)
	$(call KCONFIG_ENABLE_OPT,CONFIG_USB_NET_SIMCOM_WWAN)
endef

# Kconfig drops an unknown symbol without a word.
define SIMCOM_WWAN_BUILD_CMDS
	$(Q)if ! grep -q '^CONFIG_USB_NET_SIMCOM_WWAN=[my]' $(LINUX_DIR)/.config; then \
		echo "The kernel has no simcom_wwan: add $(BR2_EXTERNAL_A7670E_PATH)/patches" >&2; \
		echo "to BR2_GLOBAL_PATCH_DIR, and look whether its patch was applied." >&2; \
		exit 1; \
	fi
endef

$(eval $(generic-package))
