#include "host/qemu/qemu_plug.h"

#include "host/start_arguments.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace berth::host::qemu {
namespace {

namespace json = boost::json;

// Somebody else (libvirt, an operator) may take the port that we have just found free.
constexpr int kPortTries = 3;

// QEMU said no; anything else means that it said nothing.
bool is_refusal(const Error& error) {
  return error.reason.starts_with("QMP_");
}

std::unexpected<Error> refused(const Error& error, const std::string& what) {
  if (!is_refusal(error)) return std::unexpected(error.in(what));
  return fail(Code::kFailedPrecondition, "DEVICE_REFUSED",
              fmt::format("QEMU refuses {}: {}", what, error.message));
}

json::object arguments_of(const VmDevice& device, const std::string& port) {
  json::object arguments{{"id", device.id}, {"bus", port}};
  if (const auto* vfio = std::get_if<VfioDevice>(&device.device)) {
    arguments["driver"] = "vfio-pci";
    arguments["host"] = vfio->address.str();
  } else {
    arguments["driver"] = "virtio-net-pci";
    arguments["netdev"] = netdev_id(device.id);
    arguments["mac"] = std::get<VhostUserDevice>(device.device).mac.str();
  }
  return arguments;
}

std::string driver_of(const VmDevice& device) {
  return std::holds_alternative<VfioDevice>(device.device) ? "vfio-pci" : "virtio-net-pci";
}

bool has_chardev(const json::value& chardevs, const std::string& id) {
  if (!chardevs.is_array()) return false;
  return std::ranges::any_of(chardevs.get_array(), [&](const json::value& entry) {
    const json::value* label = entry.is_object() ? entry.get_object().if_contains("label") : nullptr;
    return label != nullptr && label->is_string() && label->get_string() == id;
  });
}

}  // namespace

QemuPlug::QemuPlug(asio::any_io_executor executor, QemuSettings settings)
    : executor_(executor), settings_(std::move(settings)), readers_(executor) {}

asio::awaitable<void> QemuPlug::stop() {
  readers_.cancel();
  co_await readers_.join();
}

Result<std::shared_ptr<VmMonitor>> QemuPlug::monitor_of(const VmId& vm) {
  auto path = monitor_path(settings_.monitor, vm);
  if (!path) return pass(path);
  std::erase_if(monitors_, [](const auto& entry) { return entry.second.expired(); });
  auto monitor = monitors_[vm].lock();
  if (!monitor) monitor = std::make_shared<VmMonitor>(executor_, *std::move(path));
  monitors_[vm] = monitor;
  return monitor;
}

Task<PlugOutcome> QemuPlug::plug(VmId vm, VmDevice device) {
  const auto monitor = monitor_of(vm);
  if (!monitor) co_return pass(monitor);
  const auto turn = co_await (*monitor)->lock();
  if (!turn) co_return pass(turn);
  const auto connection = co_await (*monitor)->connect(readers_, settings_.answer_wait);
  if (!connection && connection.error().reason == "VM_NOT_RUNNING") {
    co_return PlugOutcome{.detail = fmt::format("{} does not run: it gets {} when it starts", vm, device.id),
                          .at_start = start_arguments(device)};
  }
  if (!connection) co_return pass(connection, fmt::format("plug {} into {}", device.id, vm));
  const auto plugged = co_await plug_into(**connection, device);
  if (!plugged) co_return pass(plugged, fmt::format("plug {} into {}", device.id, vm));
  co_return plugged;
}

Task<bool> QemuPlug::lacks(VmId vm, std::string device_id) {
  const auto monitor = monitor_of(vm);
  if (!monitor) co_return pass(monitor);
  const auto turn = co_await (*monitor)->lock();
  if (!turn) co_return pass(turn);
  const auto connection = co_await (*monitor)->connect(readers_, settings_.answer_wait);
  if (!connection && connection.error().reason == "VM_NOT_RUNNING") co_return false;
  if (!connection) co_return pass(connection, fmt::format("look for {} in {}", device_id, vm));
  const auto found = co_await find_device(**connection, device_id);
  if (!found) co_return pass(found);
  co_return found->name.empty();
}

Task<PlugOutcome> QemuPlug::plug_into(QmpConnection& connection, VmDevice device) {
  const auto found = co_await find_device(connection, device.id);
  if (!found) co_return pass(found);
  if (!found->name.empty()) {
    const auto same = co_await check_same(connection, device, *found);
    if (!same) co_return pass(same);
    co_return PlugOutcome{.detail = fmt::format("the VM has {} already", found->name)};
  }
  const auto* vhost = std::get_if<VhostUserDevice>(&device.device);
  if (vhost != nullptr) {
    const auto added = co_await add_backends(connection, device.id, *vhost);
    if (!added) co_return pass(added);
  }
  const auto port = co_await add(connection, device);
  if (!port) {
    // What this leaves behind, if the connection is gone, unplug() removes.
    if (vhost != nullptr) (void)co_await remove_backends(connection, device.id);
    co_return pass(port);
  }
  const auto verified = co_await verify(connection, device.id, *port);
  if (!verified) co_return pass(verified);
  co_return PlugOutcome{.detail = fmt::format("{} on {}", device.id, *port)};
}

Task<std::string> QemuPlug::add(QmpConnection& connection, VmDevice device) {
  VmTree tree(connection, settings_.answer_wait);
  PortWish wish{.prefix = settings_.ports, .near = {device.near.begin(), device.near.end()}, .except = {}};
  for (int tries = 1;; ++tries) {
    auto port = co_await tree.find_free_port(wish);
    if (!port) co_return port;
    auto arguments = arguments_of(device, *port);
    const auto added = co_await connection.execute("device_add", std::move(arguments), settings_.answer_wait);
    if (added) co_return port;
    const bool is_taken = added.error().message.contains("already occupied");
    if (!is_taken || tries == kPortTries)
      co_return refused(added.error(), fmt::format("{} on {}", device.id, *port));
    wish.except.insert(*std::move(port));
  }
}

Task<void> QemuPlug::verify(QmpConnection& connection, std::string device_id, std::string port) {
  VmTree tree(connection, settings_.answer_wait);
  const auto bus = co_await tree.read_property(device_id, "parent_bus");
  if (!bus) co_return refused(bus.error(), fmt::format("to show {}", device_id));
  const auto sight = co_await tree.look_for(device_id, port);
  if (!sight) co_return pass(sight);
  if (!bus->ends_with(fmt::format("/{}/{}", port, port)) || *sight == PciSight::kMissing) {
    co_return fail(Code::kFailedPrecondition, "DEVICE_REFUSED",
                   fmt::format("QEMU took {} for {} but it is on {}", device_id, port, *bus));
  }
  co_return Result<void>();
}

Task<void> QemuPlug::check_same(QmpConnection& connection, VmDevice device, QomItem found) {
  VmTree tree(connection, settings_.answer_wait);
  bool is_same = child_type(found) == driver_of(device);
  if (is_same) {
    const auto* vfio = std::get_if<VfioDevice>(&device.device);
    const auto value = co_await tree.read_property(found.name, vfio != nullptr ? "host" : "mac");
    if (!value) co_return pass(value);
    if (vfio != nullptr) {
      is_same = PciAddress::parse("host", *value) == vfio->address;
    } else {
      is_same = MacAddress::parse("mac", *value) == std::get<VhostUserDevice>(device.device).mac;
    }
  }
  if (is_same) co_return Result<void>();
  co_return fail(Code::kFailedPrecondition, "DEVICE_ID_TAKEN",
                 fmt::format("the VM has another device called {} ({})", found.name, found.type));
}

Task<void> QemuPlug::add_backends(QmpConnection& connection, std::string device_id, VhostUserDevice device) {
  VmTree tree(connection, settings_.answer_wait);
  const auto shared = co_await tree.check_shared_memory();
  if (!shared) co_return shared;
  const auto clean = co_await remove_backends(connection, device_id);  // of a plug that was cut off
  if (!clean) co_return clean;
  json::object address{{"type", "unix"}, {"data", json::object{{"path", device.socket}}}};
  json::object socket{{"addr", std::move(address)}, {"server", false}};
  json::object backend{{"type", "socket"}, {"data", std::move(socket)}};
  json::object chardev{{"id", chardev_id(device_id)}, {"backend", std::move(backend)}};
  const auto connected =
      co_await connection.execute("chardev-add", std::move(chardev), settings_.answer_wait);
  if (!connected) co_return refused(connected.error(), fmt::format("the socket of {}", device_id));
  json::object netdev{
      {"type", "vhost-user"}, {"id", netdev_id(device_id)}, {"chardev", chardev_id(device_id)}};
  const auto added = co_await connection.execute("netdev_add", std::move(netdev), settings_.answer_wait);
  if (added) co_return Result<void>();
  (void)co_await remove_backends(connection, device_id);  // the error that counts is the first
  co_return refused(added.error(), fmt::format("the vhost-user backend of {}", device_id));
}

// QEMU 10.0 closes the chardev together with the vhost-user netdev that it is for; without a netdev it stays.
Task<void> QemuPlug::remove_backends(QmpConnection& connection, std::string device_id) {
  const auto netdev =
      co_await connection.execute("netdev_del", {{"id", netdev_id(device_id)}}, settings_.answer_wait);
  if (!netdev && netdev.error().code != Code::kNotFound)
    co_return refused(netdev.error(), fmt::format("to remove the backend of {}", device_id));
  const auto chardevs = co_await connection.execute("query-chardev", {}, settings_.answer_wait);
  if (!chardevs) co_return pass(chardevs);
  if (!has_chardev(*chardevs, chardev_id(device_id))) co_return Result<void>();
  const auto closed =
      co_await connection.execute("chardev-remove", {{"id", chardev_id(device_id)}}, settings_.answer_wait);
  if (!closed) co_return refused(closed.error(), fmt::format("to close the socket of {}", device_id));
  co_return Result<void>();
}

}  // namespace berth::host::qemu
