import os

import infra.basetest


# Where buildroot-ext is: this file lies in its support/testing/tests/package.
HERE = os.path.dirname(os.path.realpath(__file__))
EXTERNAL = os.path.abspath(os.path.join(HERE, "../../../.."))
SITE = os.environ.get("A7670E_SITE", "")
KERNEL_CONFIG = "board/qemu/aarch64-virt/linux.config"
HASHES = os.environ.get("A7670E_HASHES", "")


class TestA7670e(infra.basetest.BRTest):
    """The service beneath busybox, without systemd, D-Bus and udev, and the
    patched driver. A release is needed: A7670E_SITE says where it is, and
    A7670E_HASHES is a global patch directory with a7670e/a7670e.hash."""

    br2_external = [EXTERNAL]
    config = \
        f"""
        BR2_aarch64=y
        BR2_TOOLCHAIN_EXTERNAL=y
        BR2_TOOLCHAIN_EXTERNAL_BOOTLIN=y
        BR2_GLOBAL_PATCH_DIR="{EXTERNAL}/patches {HASHES}"
        BR2_ROOTFS_DEVICE_CREATION_DYNAMIC_MDEV=y
        BR2_TARGET_GENERIC_GETTY_PORT="ttyAMA0"
        BR2_LINUX_KERNEL=y
        BR2_LINUX_KERNEL_CUSTOM_VERSION=y
        BR2_LINUX_KERNEL_CUSTOM_VERSION_VALUE="6.12.104"
        BR2_LINUX_KERNEL_USE_CUSTOM_CONFIG=y
        BR2_LINUX_KERNEL_CUSTOM_CONFIG_FILE="{KERNEL_CONFIG}"
        BR2_PACKAGE_A7670E=y
        BR2_PACKAGE_A7670E_SITE="{SITE}"
        BR2_PACKAGE_SIMCOM_WWAN=y
        BR2_TARGET_ROOTFS_EXT2=y
        BR2_TARGET_ROOTFS_EXT2_4=y
        # BR2_TARGET_ROOTFS_TAR is not set
        """

    def test_run(self):
        drive = os.path.join(self.builddir, "images", "rootfs.ext4")
        kern = os.path.join(self.builddir, "images", "Image")
        self.emulator.boot(arch="aarch64",
                           kernel=kern,
                           kernel_cmdline=["root=/dev/vda console=ttyAMA0"],
                           options=["-M", "virt",
                                    "-cpu", "cortex-a57",
                                    "-m", "256M",
                                    "-drive",
                                    f"file={drive},if=virtio,format=raw"])
        self.emulator.login()

        # The init script has started the service; there is no modem.
        self.assertRunOk("a7670e status", timeout=30)
        out, ret = self.emulator.run("a7670e status --json")
        self.assertEqual(ret, 0)
        self.assertIn("{", "\n".join(out))

        # A service that falls is started again: another process answers.
        out, ret = self.emulator.run("pidof a7670e")
        self.assertEqual(ret, 0)
        fallen = out[0].strip()
        self.assertRunOk(f"kill -9 {fallen}")
        self.assertRunOk(
            "for i in $(seq 20); do "
            f"a7670e status && [ \"$(pidof a7670e)\" != {fallen} ] && break; "
            "sleep 1; done; [ $i -lt 20 ]", timeout=60)

        # Stopped, it stays so, and leaves no socket.
        self.assertRunOk("/etc/init.d/S35a7670e stop", timeout=30)
        self.assertRunOk("! pidof a7670e")
        self.assertRunOk("[ ! -e /run/a7670e/control.sock ]")
        self.assertRunOk("/etc/init.d/S35a7670e start")

        # The card has no boot partition here.
        out, ret = self.emulator.run("/etc/init.d/S20a7670e-first-boot start")
        self.assertEqual(ret, 0)
        self.assertIn("no boot partition", out[0])

        # The drivers are there, ours as well.
        for driver in ["option", "cdc_ether", "rndis_host", "simcom_wwan"]:
            built_in = f"[ -d /sys/bus/usb/drivers/{driver} ]"
            self.assertRunOk(f"modprobe {driver} || {built_in}")
