"""A guest without an operating system that does what a test tells it: 512 octets that wait for keys, each of which has the guest
do one thing to its machine.

The firmware (SeaBIOS, on machine ``pc``) loads the first sector of the first disk to 0000:7C00 and runs it in real mode. The
program asks the firmware for a key (interrupt 16h), carries out the command that the key stands for, and asks for the next
one. Keys are pressed from outside, with virDomainSendKey; the key of a command is known by its scan code, which is Linux's
number of the key too. Each time it begins it writes a full stop to its first serial port. What the commands do, at the
addresses that QEMU gives to the devices of that machine:

============= =======================================================================================================
``panic``     writes 1, "the kernel panicked", to port 505h, the isa pvpanic device
``watchdog``  writes 0Fh, a time of 0 seconds, to port 443h, the ib700 watchdog
``clock``     changes bit 0 of the year in the battery-backed clock: register 9, by ports 70h and 71h
``write``     writes a sector to the first disk at WRITTEN, by the firmware (interrupt 13h)
``reset``     has the keyboard controller reset the machine: FEh to port 64h
``sleep``     S3, by the control register of power management: 2400h to port 604h
``hibernate`` S4, likewise: 2800h
``off``       S5, likewise: 2000h
``balloon``   finds the virtio balloon on the PCI bus (interrupt 1Ah) and tells by its legacy configuration that BALLOON more
              is in it than nothing, or, the next time, nothing
``refuse``    tells by the registers of ACPI memory hot-plug, port A00h, that the memory device of slot 0 could not be let go:
              event 3, eject; status 1, failure
============= =======================================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import libvirt

SECTOR = 512
SIZE = 1 << 20
"""Octets of a disk with a boot sector."""

WRITTEN = 62 * SECTOR
"""Where on the disk `write` writes: in another page of the host than the boot sector."""

BALLOON = 1 << 20

_START = bytes.fromhex("31c0 8ed8 8ec0 8ed0 bc007c fb baf803 b02e ee")
"""xor ax, ax; mov ds, ax; mov es, ax; mov ss, ax; mov sp, 7C00h; sti; mov dx, 3F8h; mov al, '.'; out dx, al"""

_ASK = bytes.fromhex("30e4 cd16")
"""xor ah, ah; int 16h: ah is the scan code of the next key"""

_COMMANDS: Mapping[str, str] = {
    # mov dx, 505h; mov al, 1; out dx, al
    "panic": "ba0505 b001 ee",
    # mov dx, 443h; mov al, 0Fh; out dx, al
    "watchdog": "ba4304 b00f ee",
    # mov al, 9; out 70h, al; in al, 71h; xor al, 1; out 71h, al
    "clock": "b009 e670 e471 3401 e671",
    # mov ax, 301h; mov cx, 3Fh; mov dx, 80h; mov bx, 7C00h; int 13h: one sector, sector 63 of cylinder 0, head 0
    "write": "b80103 b93f00 ba8000 bb007c cd13",
    # mov al, 0FEh; out 64h, al
    "reset": "b0fe e664",
    # mov dx, 604h; mov ax, 2400h; out dx, ax
    "sleep": "ba0406 b80024 ef",
    "hibernate": "ba0406 b80028 ef",
    "off": "ba0406 b80020 ef",
    # mov ax, 0B102h; mov cx, 1002h; mov dx, 1AF4h; xor si, si; int 1Ah: bx is the device
    # mov ax, 0B10Ah; mov di, 10h; int 1Ah: ecx is the address of its ports, with bit 0 set
    # mov dx, cx; and dl, 0FCh; add dx, 24; in eax, dx; xor eax, 100h; out dx, eax: what is in it, in pages of 4 KiB
    "balloon": "b802b1 b90210 baf41a 31f6 cd1a b80ab1 bf1000 cd1a 89ca 80e2fc 83c218 66ed 663500010000 66ef",
    # mov dx, 0A00h; xor eax, eax; out dx, eax; mov dl, 4; mov al, 3; out dx, eax; mov dl, 8; mov al, 1; out dx, eax
    "refuse": "ba000a 6631c0 66ef b204 b003 66ef b208 b001 66ef",
}
KEYS = {command: 2 + number for number, command in enumerate(_COMMANDS)}
"""The key of each command, by Linux's number of it: 1 to 9, and 0."""


def sector() -> bytes:
    """The program, as the firmware loads it."""
    code = _START
    begin = len(code)
    code += _ASK
    for command, text in _COMMANDS.items():
        body = bytes.fromhex(text)
        skip = len(body) + 3  # the body, and the jump behind it
        code += bytes((0x80, 0xFC, KEYS[command], 0x75, skip)) + body  # cmp ah, key; jne over the body
        code += b"\xe9" + (begin - (len(code) + 3)).to_bytes(2, "little", signed=True)  # jmp to the next key
    code += b"\xe9" + (begin - (len(code) + 3)).to_bytes(2, "little", signed=True)
    assert len(code) <= SECTOR - 2 - 64, "no room: the last 66 octets are a table of partitions and the signature"
    return code.ljust(SECTOR - 2, b"\0") + b"\x55\xaa"


def write_image(path: Path) -> None:
    """Make a raw image that a guest boots from. Beyond its first sector it is a hole."""
    with path.open("wb") as file:
        file.write(sector())
        file.truncate(SIZE)


def press(domain: Any, command: str) -> None:
    """Press the key of a command. The firmware has to be done with the machine by then: before that it takes keys for itself."""
    domain.sendKey(libvirt.VIR_KEYCODE_SET_LINUX, 50, [KEYS[command]], 1, 0)
