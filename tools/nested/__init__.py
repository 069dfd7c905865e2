"""The nested-QEMU lab of tools/lab (docs/lab.md): how its parts are built, booted and talked to."""
