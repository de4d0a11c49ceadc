"""libvirt's XML to columns, on definitions of every sort and on hostile ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import Failed
from agent.model import Disk, Domain, Host, Nic
from agent.model.disk import DiskDevice
from agent.model.log import LogKind
from agent.model.nic import LinkState
from drivers.libvirt import xml

LIVE = """<domain type='kvm' id='7'>
  <name>web</name><uuid>1ccaf2e1-9e5a-466e-923b-201aa80c0701</uuid><title>Front</title><description>two
lines</description>
  <memory unit='GiB'>2</memory><currentMemory unit='MB'>1000</currentMemory>
  <vcpu placement='static' current='2'>8</vcpu>
  <vcpus><vcpu id='0' enabled='yes'/><vcpu id='1' enabled='no'/><vcpu id='5' enabled='yes'/></vcpus>
  <iothreads>3</iothreads>
  <os><type arch='aarch64' machine='virt-7.2'>hvm</type></os>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2' cache='writeback' io='io_uring' discard='unmap'/>
      <source file='/images/a.qcow2' index='1'/><target dev='vda' bus='virtio'/><boot order='1'/>
      <serial>S1</serial><shareable/><alias name='virtio-disk0'/>
    </disk>
    <disk type='block' device='cdrom'><source dev='/dev/sr0'/><target dev='sda' bus='sata'/><readonly/></disk>
    <disk type='network' device='disk'><source protocol='rbd' name='pool/image'>
      <host name='mon.example' port='6789'/><auth username='admin'><secret type='ceph' usage='x'/></auth></source>
      <target dev='vdb'/></disk>
    <disk type='volume' device='lun'><source pool='fast' volume='v1'/><target dev='sdb' bus='scsi'/></disk>
    <disk type='file' device='floppy'><target dev='fda' bus='fdc'/></disk>
    <interface type='network'><mac address='52:54:00:00:00:01'/><source network='default' portgroup='dmz'/>
      <target dev='vnet0'/><model type='virtio'/><link state='down'/><mtu size='9000'/><boot order='2'/>
      <filterref filter='clean-traffic'/><alias name='net0'/></interface>
    <interface type='bridge'><mac address='52:54:00:00:00:01'/><source bridge='br0'/></interface>
    <interface type='direct'><mac address='52:54:00:00:00:02'/><source dev='eth0' mode='bridge'/></interface>
  </devices>
</domain>"""


def test_a_domain_is_told() -> None:
    told = xml.domain(LIVE)
    assert told.domain == {
        "type": "kvm", "os_type": "hvm", "architecture": "aarch64", "machine": "virt-7.2", "title": "Front",
        "description": "two\nlines", "vcpus": 2, "max_vcpus": 8, "memory": 976563, "max_memory": 2097152, "iothreads": 3,
    }  # fmt: skip
    assert told.vcpus == [0, 5]


LOGS = """<domain type='qemu'><devices>
  <filesystem type='mount'><source dir='/a'/><target dir='a'/></filesystem>
  <filesystem type='mount'><driver type='virtiofs'/><source dir='/b'/><target dir='b'/></filesystem>
  <filesystem type='mount'><driver type='virtiofs'/><source socket='/s'/><target dir='c'/></filesystem>
  <serial type='pty'><log file='/logs//first' append='on'/><target port='0'/><alias name='serial0'/></serial>
  <serial type='file'><source path='/logs/second'/><log file='/logs/third'/></serial>
  <console type='pty'><log file='/logs/first'/><alias name='console9'/></console>
  <channel type='unix'><log file='/logs/channel'/><target type='virtio' name='org.x'/></channel>
  <parallel type='file'><source path='relative'/></parallel>
  <serial type='file'><source path='/logs/../etc/shadow'/></serial>
  <serial type='file'><source path='/logs/a&#10;b'/></serial>
  <disk type='file'><source file='/no.log'/></disk>
  <tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>
</devices></domain>"""


def test_the_logs_of_devices_are_told_once_each() -> None:
    assert {(log.kind, log.device, log.path) for log in xml.domain(LOGS).logs} == {
        (LogKind.CONSOLE, "serial0", "/logs/first"),
        (LogKind.CONSOLE, "serial1", "/logs/second"),
        (LogKind.CONSOLE, "serial1", "/logs/third"),
        (LogKind.OTHER, "org.x", "/logs/channel"),
        (LogKind.VIRTIOFSD, "fs1", None),
        (LogKind.SWTPM, "tpm0", None),
    }
    assert xml.domain(LIVE).logs == []


def test_the_definition_for_the_next_start_is_told() -> None:
    assert xml.config(LIVE) == {
        "config_vcpus": 2, "config_max_vcpus": 8, "config_memory": 976563, "config_max_memory": 2097152,
    }  # fmt: skip


def test_disks_are_told() -> None:
    first, cdrom, network, volume, floppy = xml.domain(LIVE).disks
    assert first == {
        "target": "vda", "source": "/images/a.qcow2", "type": "file", "device": DiskDevice.DISK, "bus": "virtio",
        "format": "qcow2", "cache": "writeback", "io": "io_uring", "discard": "unmap", "serial": "S1",
        "alias": "virtio-disk0", "boot_order": 1, "read_only": False, "shareable": True,
    }  # fmt: skip
    assert (cdrom["device"], cdrom["source"], cdrom["read_only"]) == (DiskDevice.CDROM, "/dev/sr0", True)
    assert network["source"] == "rbd://mon.example:6789/pool/image"
    assert "admin" not in str(network)
    assert (volume["device"], volume["source"]) == (DiskDevice.LUN, "fast/v1")
    assert floppy["device"] is DiskDevice.FLOPPY
    assert "source" not in floppy


def test_nics_are_told() -> None:
    first, second, third = xml.domain(LIVE).nics
    assert first == {
        "device": "52:54:00:00:00:01", "mac": "52:54:00:00:00:01", "target": "vnet0", "type": "network",
        "source": "default", "model": "virtio", "link_state": LinkState.DOWN, "alias": "net0", "mtu": 9000,
        "boot_order": 2, "portgroup": "dmz", "filter": "clean-traffic",
    }  # fmt: skip
    assert (second["device"], second["source"]) == ("52:54:00:00:00:01#2", "br0")
    assert (third["source"], third["link_state"]) == ("eth0", LinkState.UP)


def test_every_value_has_a_column() -> None:
    told = xml.domain(LIVE)
    assert {*told.domain, *xml.config(LIVE)} <= Domain.positions.keys()
    assert {name for disk in told.disks for name in disk} <= Disk.positions.keys()
    assert {name for nic in told.nics for name in nic} <= Nic.positions.keys()
    assert xml.capabilities("<capabilities/>").keys() <= Host.positions.keys()


def test_the_least_that_a_definition_can_say() -> None:
    told = xml.domain("<domain/>")
    assert (told.domain, told.vcpus, told.disks, told.nics) == ({}, [], [], [])
    assert xml.config("<domain/>") == {}


def test_capabilities_are_told() -> None:
    told = xml.capabilities(
        "<capabilities><host><uuid>u</uuid><cpu><arch>x86_64</arch><model>EPYC</model><vendor>AMD</vendor></cpu>"
        "<migration_features><live/></migration_features></host><guest><arch name='i686'/></guest>"
        "<guest><arch name='x86_64'/></guest><guest><arch name='i686'/></guest></capabilities>"
    )
    assert told == {
        "uuid": "u", "architecture": "x86_64", "cpu_model": "EPYC", "cpu_vendor": "AMD", "migration": True,
        "guest_architectures": "i686 x86_64",
    }  # fmt: skip


def test_the_smbios_tables_are_told() -> None:
    told = xml.sysinfo(
        "<sysinfo type='smbios'><bios><entry name='version'>2.1</entry></bios><system><entry name='manufacturer'>M"
        "</entry><entry name='product'>P</entry><entry name='serial'>S</entry></system></sysinfo>"
    )
    assert told == {"manufacturer": "M", "product": "P", "serial": "S", "firmware_version": "2.1"}


@pytest.mark.parametrize(
    "text",
    [
        "", "no xml", "<domain>", "<domain><name>&x;</name></domain>", "<!DOCTYPE domain><domain/>",
        '<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]><domain><title>&x;</title></domain>',
        "<domain>\ud800</domain>", "<domain>\0</domain>",
    ],
)  # fmt: skip
def test_what_is_no_definition_fails(text: str) -> None:
    with pytest.raises(Failed):
        xml.domain(text)


@pytest.mark.parametrize("number", ["", "-1", "1.5", "many", "²"])
def test_a_number_that_is_none_is_left_out(number: str) -> None:
    told = xml.domain(f"<domain><memory>{number}</memory><vcpu>{number}</vcpu><iothreads>{number}</iothreads></domain>")
    assert told.domain == {}


@given(st.text())
def test_any_text_is_read_or_fails(text: str) -> None:
    """Whatever the text: an answer, or Failed."""
    try:
        told = xml.domain(text)
    except Failed:
        return
    assert told.disks == []


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn"]), max_size=60))
def test_any_title_is_read_back(title: str) -> None:
    from lxml import etree

    root = etree.Element("domain")
    etree.SubElement(root, "title").text = title
    assert xml.domain(etree.tostring(root, encoding="unicode")).domain.get("title", "") == title
