#include "host/qemu/vm_tree.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace berth::host::qemu {
namespace {

namespace json = boost::json;

constexpr std::string_view kPeripherals = "/machine/peripheral";
constexpr std::array<std::string_view, 3> kPortTypes = {"pcie-root-port", "ioh3420", "xio3130-downstream"};
constexpr std::size_t kMaxWay = 64;  // bridges above a device; PCI has 256 buses

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

const json::object* object_in(const json::value& value) {
  return value.is_object() ? &value.get_object() : nullptr;
}

std::string text_in(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

// Devices of a bus, of a bridge in query-pci: "devices" of an object.
const json::array* devices_in(const json::object& object) {
  const json::value* devices = object.if_contains("devices");
  return devices != nullptr && devices->is_array() ? &devices->get_array() : nullptr;
}

bool has_device(const json::object& bus, std::string_view device_id) {
  const json::array* devices = devices_in(bus);
  if (devices == nullptr) return false;
  return std::ranges::any_of(*devices, [&](const json::value& device) {
    return device.is_object() && text_in(device.get_object(), "qdev_id") == device_id;
  });
}

bool is_numbered(const json::object& bridge) {
  const json::value* bus = bridge.if_contains("bus");
  if (bus == nullptr || !bus->is_object()) return false;
  const json::value* secondary = bus->get_object().if_contains("secondary");
  return secondary != nullptr && secondary->is_int64() && secondary->get_int64() != 0;
}

// QEMU's JSON is at most kMaxDepth deep, and so is this recursion.
std::optional<PciSight> look_below(const json::object& bus, std::string_view device_id,
                                   std::string_view port_id) {
  const json::array* devices = devices_in(bus);
  if (devices == nullptr) return std::nullopt;
  for (const json::value& device : *devices) {
    const json::object* entry = object_in(device);
    if (entry == nullptr) continue;
    const json::value* inner = entry->if_contains("pci_bridge");
    const json::object* bridge = inner != nullptr ? object_in(*inner) : nullptr;
    if (bridge == nullptr) continue;
    if (text_in(*entry, "qdev_id") == port_id) {
      if (!is_numbered(*bridge)) return PciSight::kNotNumbered;
      return has_device(*bridge, device_id) ? PciSight::kSeen : PciSight::kMissing;
    }
    if (const auto seen = look_below(*bridge, device_id, port_id)) return seen;
  }
  return std::nullopt;
}

std::size_t shared_way(const std::vector<std::string>& left, const std::vector<std::string>& right) {
  const auto apart = std::ranges::mismatch(left, right);
  return static_cast<std::size_t>(apart.in1 - left.begin());
}

// "/machine/peripheral/rp1/rp1" -> rp1; "" for a root: "/machine/q35/pcie.0".
std::string owner_of(std::string_view bus) {
  if (!bus.starts_with(kPeripherals) || bus.size() <= kPeripherals.size() + 1) return {};
  bus.remove_prefix(kPeripherals.size() + 1);
  return std::string(bus.substr(0, bus.find('/')));
}

std::string path_of(std::string_view device_id) {
  return fmt::format("{}/{}", kPeripherals, device_id);
}

}  // namespace

Result<std::vector<QomItem>> parse_qom_list(const json::value& reply) {
  std::vector<QomItem> items;
  if (!reply.is_array()) return fail(Code::kDataLoss, "QMP_MALFORMED", "qom-list returned no list");
  for (const json::value& entry : reply.get_array()) {
    const json::object* object = object_in(entry);
    QomItem item;
    if (object != nullptr) item = {.name = text_in(*object, "name"), .type = text_in(*object, "type")};
    if (item.name.empty() || item.type.empty())
      return fail(Code::kDataLoss, "QMP_MALFORMED", "qom-list returned something without name and type");
    items.push_back(std::move(item));
  }
  return items;
}

std::optional<std::string_view> child_type(const QomItem& item) {
  std::string_view type = item.type;
  if (!type.starts_with("child<") || !type.ends_with('>')) return std::nullopt;
  type.remove_prefix(6);
  type.remove_suffix(1);
  return type;
}

bool is_before(std::string_view left, std::string_view right) {
  while (!left.empty() && !right.empty()) {
    const auto digits = [](std::string_view text) {
      return static_cast<std::size_t>(std::ranges::find_if_not(text, is_digit) - text.begin());
    };
    const auto number = [](std::string_view text) {
      text.remove_prefix(std::min(text.find_first_not_of('0'), text.size()));
      return text;
    };
    const auto left_digits = digits(left);
    const auto right_digits = digits(right);
    if (left_digits != 0 && right_digits != 0) {
      const auto l = number(left.substr(0, left_digits));
      const auto r = number(right.substr(0, right_digits));
      if (l.size() != r.size()) return l.size() < r.size();
      if (l != r) return l < r;
    } else if (left.front() != right.front()) {
      return left.front() < right.front();
    }
    left.remove_prefix(std::max<std::size_t>(left_digits, 1));
    right.remove_prefix(std::max<std::size_t>(right_digits, 1));
  }
  return left.size() < right.size();
}

PciSight look_for(const json::value& query_pci, std::string_view device_id, std::string_view port_id) {
  if (!query_pci.is_array()) return PciSight::kMissing;
  for (const json::value& bus : query_pci.get_array()) {
    const json::object* object = object_in(bus);
    if (object == nullptr) continue;
    if (const auto seen = look_below(*object, device_id, port_id)) return *seen;
  }
  return PciSight::kNotNumbered;  // the port itself is behind a bus without a number
}

Task<std::vector<QomItem>> VmTree::list_devices() {
  const auto reply = co_await connection_.execute("qom-list", {{"path", kPeripherals}}, wait_);
  if (!reply) co_return pass(reply);
  auto items = parse_qom_list(*reply);
  if (!items) co_return items;
  std::erase_if(*items, [](const QomItem& item) { return !child_type(item); });
  std::ranges::sort(*items, is_before, &QomItem::name);
  co_return items;
}

Task<std::string> VmTree::read_property(std::string device_id, std::string property) {
  json::object arguments{{"path", path_of(device_id)}, {"property", property}};
  const auto reply = co_await connection_.execute("qom-get", std::move(arguments), wait_);
  if (!reply) co_return pass(reply, fmt::format("{} of {}", property, device_id));
  co_return reply->is_string() ? std::string(reply->get_string()) : std::string();
}

Task<bool> VmTree::is_free(std::string port_id) {
  json::object question{{"path", path_of(port_id)}, {"property", "hotplug"}};
  const auto hotplug = co_await connection_.execute("qom-get", std::move(question), wait_);
  if (!hotplug) co_return pass(hotplug, fmt::format("hotplug of {}", port_id));
  if (!hotplug->is_bool() || !hotplug->get_bool()) co_return false;
  const std::string bus = fmt::format("{}/{}", path_of(port_id), port_id);
  const auto reply = co_await connection_.execute("qom-list", {{"path", bus}}, wait_);
  if (!reply) co_return pass(reply);
  const auto items = parse_qom_list(*reply);
  if (!items) co_return pass(items);
  co_return std::ranges::none_of(*items, [](const QomItem& item) { return item.name.starts_with("child["); });
}

Task<std::vector<std::string>> VmTree::read_way(std::string device_id) {
  std::vector<std::string> way;
  while (!device_id.empty() && way.size() < kMaxWay) {
    auto bus = co_await read_property(device_id, "parent_bus");
    if (!bus) co_return pass(bus);
    device_id = owner_of(*bus);
    way.push_back(*std::move(bus));
  }
  std::ranges::reverse(way);
  co_return way;
}

Task<std::vector<std::vector<std::string>>> VmTree::read_ways_of(std::set<PciAddress> functions) {
  std::vector<std::vector<std::string>> ways;
  if (functions.empty()) co_return ways;
  const auto devices = co_await list_devices();
  if (!devices) co_return pass(devices);
  for (const QomItem& device : *devices) {
    if (child_type(device) != "vfio-pci") continue;
    const auto host = co_await read_property(device.name, "host");
    if (!host) co_return pass(host);
    const auto address = PciAddress::parse("host", *host);
    if (!address || !functions.contains(*address)) continue;
    auto way = co_await read_way(device.name);
    if (!way) co_return pass(way);
    ways.push_back(*std::move(way));
  }
  co_return ways;
}

Task<std::string> VmTree::find_free_port(PortWish wish) {
  const auto near = co_await read_ways_of(wish.near);
  if (!near) co_return pass(near);
  const auto devices = co_await list_devices();
  if (!devices) co_return pass(devices);
  std::optional<std::string> best;
  std::size_t best_shared = 0;
  std::size_t port_count = 0;
  for (const QomItem& device : *devices) {
    const bool is_port = std::ranges::find(kPortTypes, child_type(device).value_or("")) != kPortTypes.end();
    if (!is_port || !device.name.starts_with(wish.prefix)) continue;
    ++port_count;
    if (wish.except.contains(device.name)) continue;
    const auto free = co_await is_free(device.name);
    if (!free) co_return pass(free);
    if (!*free) continue;
    if (near->empty()) co_return device.name;
    auto way = co_await read_way(device.name);
    if (!way) co_return pass(way);
    std::size_t shared = 0;
    for (const auto& other : *near) shared = std::max(shared, shared_way(*way, other));
    if (best && shared <= best_shared) continue;
    best = device.name;
    best_shared = shared;
  }
  if (best) co_return *best;
  co_return fail(Code::kFailedPrecondition, "NO_FREE_SLOT",
                 fmt::format("none of the VM's {} hotplug ports{} is free", port_count,
                             wish.prefix.empty() ? "" : " called " + wish.prefix + "..."));
}

Task<PciSight> VmTree::look_for(std::string device_id, std::string port_id) {
  const auto reply = co_await connection_.execute("query-pci", {}, wait_);
  if (!reply) co_return pass(reply);
  co_return qemu::look_for(*reply, device_id, port_id);
}

Task<void> VmTree::check_shared_memory() {
  const auto reply = co_await connection_.execute("query-memdev", {}, wait_);
  if (!reply) co_return pass(reply);
  std::vector<std::string> private_ones;
  for (const json::value& entry : reply->is_array() ? reply->get_array() : json::array()) {
    const json::object* memory = object_in(entry);
    const json::value* share = memory != nullptr ? memory->if_contains("share") : nullptr;
    if (share == nullptr || !share->is_bool() || !share->get_bool())
      private_ones.push_back(memory != nullptr ? text_in(*memory, "id") : "?");
  }
  if (private_ones.empty()) co_return Result<void>();
  co_return fail(Code::kFailedPrecondition, "MEMORY_NOT_SHARED",
                 fmt::format("the VM's memory ({}) is not shared with other processes, so vhost-user cannot "
                             "work: start QEMU with -object memory-backend-memfd,share=on (libvirt: "
                             "<memoryBacking><access mode='shared'/>)",
                             fmt::join(private_ones, ", ")));
}

}  // namespace berth::host::qemu
