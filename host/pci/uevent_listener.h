// Listens to the kernel's uevents (NETLINK_KOBJECT_UEVENT, the kernel's own group, not udev's) and hands
// those about PCI functions on. Of a namespace that is not the initial one the kernel tells little: then, as
// after an overrun, the clock of PciEvents has to do.
#pragma once

#include "base/task.h"
#include "host/pci/pci_events.h"

#include <boost/asio/posix/stream_descriptor.hpp>

namespace berth::host {

class UeventListener {
 public:
  // `events` outlives the listener. UNAVAILABLE (UEVENTS_UNAVAILABLE) when there is no such socket.
  static Result<UeventListener> open(asio::any_io_executor executor, PciEvents& events);

  // Until cancelled.
  asio::awaitable<void> run();

 private:
  UeventListener(asio::posix::stream_descriptor socket, PciEvents& events)
      : socket_(std::move(socket)), events_(&events) {}
  void read_all();

  asio::posix::stream_descriptor socket_;
  PciEvents* events_;
};

}  // namespace berth::host
