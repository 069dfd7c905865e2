// What a VM has on its PCIe bus, read from QEMU's object model, and which hotplug port a device shall get.
// query-pci shows no bus that the firmware has not numbered yet, so the objects are what counts:
// /machine/peripheral has every device with an id, and a port's bus is an object of the port's own name.
#pragma once

#include "host/pci_address.h"
#include "host/qemu/qmp_connection.h"

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace berth::host::qemu {

// A property of an object: "rp1", "child<pcie-root-port>".
struct QomItem {
  std::string name;
  std::string type;
  bool operator==(const QomItem&) const = default;
};

// The reply to qom-list. DATA_LOSS (QMP_MALFORMED) when it is none.
Result<std::vector<QomItem>> parse_qom_list(const boost::json::value& reply);

// The type in "child<...>", if it is one.
std::optional<std::string_view> child_type(const QomItem& item);

// Orders "rp2" before "rp10".
bool is_before(std::string_view left, std::string_view right);

// What query-pci knows of a device that sits behind the port `port_id`.
enum class PciSight {
  kSeen,
  kNotNumbered,  // the firmware has not numbered the port's bus yet: QEMU cannot list what is behind
  kMissing,
};
PciSight look_for(const boost::json::value& query_pci, std::string_view device_id, std::string_view port_id);

struct PortWish {
  std::string prefix;            // only ports whose id starts so
  std::set<PciAddress> near;     // host addresses of functions that the VM has
  std::set<std::string> except;  // ports that turned out to be taken
};

class VmTree {
 public:
  // `connection` outlives it; `wait` bounds every reply.
  VmTree(QmpConnection& connection, std::chrono::milliseconds wait) : connection_(connection), wait_(wait) {}

  // Devices with an id, in the order of is_before.
  Task<std::vector<QomItem>> list_devices();
  // Text property of a device; "" when it is no text.
  Task<std::string> read_property(std::string device_id, std::string property);
  // The free hotplug port that shares most of its way to the root with a device of `wish.near`, the first in
  // order of those. FAILED_PRECONDITION (NO_FREE_SLOT).
  Task<std::string> find_free_port(PortWish wish);
  Task<PciSight> look_for(std::string device_id, std::string port_id);
  // FAILED_PRECONDITION (MEMORY_NOT_SHARED): another process cannot read and write the VM's memory.
  Task<void> check_shared_memory();

 private:
  Task<bool> is_free(std::string port_id);
  // Buses from the root to the device.
  Task<std::vector<std::string>> read_way(std::string device_id);
  Task<std::vector<std::vector<std::string>>> read_ways_of(std::set<PciAddress> functions);

  QmpConnection& connection_;
  std::chrono::milliseconds wait_;
};

}  // namespace berth::host::qemu
