"""A trial: berthd, its guests and another host on one machine, for tools/quickstart and the tests.

  world.py      network namespaces, the underlay between them, and the end of all of it
  leftovers.py  what a killed run left behind, found and removed
  process.py    a child process with a log
  agent.py      berthd, and berthctl as one of its clients
  guest.py      dpdk-testpmd as a VM
  peer.py       the other host: Linux's own VXLAN
  capture.py    packets on a device, and what tshark says of them
  terminal.py   calm output
"""
