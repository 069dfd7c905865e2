"""Takes the ELF kernel out of a bzImage.

QEMU enters an ELF kernel with a PVH note directly. A bzImage decompresses itself first, which costs an emulated CPU
one to two seconds of every boot, and twice in the lab: once in the outer, once in the inner VM.
"""
import struct
import subprocess

from .needs import LabError

# How a payload begins, and what unpacks it. The size that follows the payload makes some unpackers complain after
# they have written everything, so the result is judged, not the exit code.
UNPACKERS = {
    b"\x28\xb5\x2f\xfd": ["zstd", "-dc"],
    b"\xfd7zX": ["xz", "-dc", "--single-stream"],
    b"\x02\x21\x4c\x18": ["lz4", "-dc"],
    b"\x1f\x8b\x08\x00": ["gzip", "-dc"],
}


def elf_of(image):
    """The bytes of the ELF kernel in the bytes of a bzImage (the kernel's Documentation/arch/x86/boot.rst)."""
    if image[0x1FE:0x200] != b"\x55\xaa" or image[0x202:0x206] != b"HdrS":
        raise LabError("not a bzImage: no boot header")
    setup_sectors = (image[0x1F1] or 4) + 1
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = setup_sectors * 512 + offset
    payload = image[start:start + length]
    unpacker = UNPACKERS.get(payload[:4])
    if not unpacker:
        raise LabError(f"a kernel packed in an unknown way (begins with {payload[:4].hex()})")
    elf = subprocess.run(unpacker, input=payload, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    if elf[:4] != b"\x7fELF":
        raise LabError(f"{unpacker[0]} did not find an ELF kernel in the image")
    return elf
