// A monitor of a QEMU that reacts: it has hotplug ports, devices and backends, answers with the texts of
// QEMU 10.0, and a guest inside that lets go of a device, or does not. One client at a time, as QEMU.
#pragma once

#include "base/task_group.h"

#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>

namespace berth::testing {

class FakeQemu {
  using Socket = asio::local::stream_protocol;
  using object = boost::json::object;

 public:
  enum class Guest { kLetsGo, kIgnores, kRefuses };
  struct Port {
    std::string type = "pcie-root-port";
    std::string parent_bus = "/machine/q35/pcie.0";
    bool hotplug = true;
  };
  struct Device {
    std::string driver;
    std::string port;
    std::string host = {};
    std::string mac = {};
  };

  std::map<std::string, Port> ports{{"rp1", {}}, {"rp2", {}}};
  std::map<std::string, Device> devices;
  std::set<std::string> chardevs;
  std::set<std::string> netdevs;
  bool is_memory_shared = true;
  bool is_numbered = true;  // the firmware has run

  Guest guest = Guest::kLetsGo;
  std::chrono::milliseconds guest_takes{1};
  unsigned requests_ignored = 0;                // the guest forgets so many
  bool loses_events = false;                    // DEVICE_DELETED never arrives
  bool has_native_hotplug = false;              // a second request meanwhile is an error
  std::map<std::string, std::string> refusals;  // command -> "desc"
  std::string hangs_at;                         // no reply to this command, ever
  std::string hangs_up_before;                  // closes instead of executing it, once
  std::string hangs_up_after;                   // executes, closes instead of replying, once
  std::string dies_at;                          // QEMU is killed by it
  std::string taken_behind_our_back;            // this port gets a device before the first device_add
  bool greets = true;
  std::vector<std::string> commands;  // in order

  FakeQemu(asio::io_context& io, std::string path)
      : path_(std::move(path)), acceptor_(io.get_executor()), tasks_(io.get_executor()) {
    start();
  }
  ~FakeQemu() { std::filesystem::remove(path_); }
  FakeQemu(const FakeQemu&) = delete;
  FakeQemu& operator=(const FakeQemu&) = delete;

  void start(std::chrono::milliseconds listens_after = {}) {
    std::filesystem::remove(path_);
    acceptor_.open();
    acceptor_.bind(Socket::endpoint(path_));
    if (listens_after.count() == 0) acceptor_.listen();
    tasks_.spawn("monitor", serve(listens_after));
  }
  // As SIGKILL does: the socket's file stays, nobody listens.
  void die() {
    boost::system::error_code ignored;
    acceptor_.close(ignored);
    if (client_) client_->close(ignored);
    devices.clear();
    chardevs.clear();
    netdevs.clear();
  }
  asio::awaitable<void> stop() {
    die();
    tasks_.cancel();
    co_await tasks_.join();
  }

  unsigned count(const std::string& command) const {
    return static_cast<unsigned>(std::ranges::count(commands, command));
  }
  void send_event(std::string name, object data) {
    outbox_ += serialize(object{{"event", name}, {"data", std::move(data)}}) + "\r\n";
    if (client_) tasks_.spawn("event", flush(client_));
  }
  void send_raw(std::string bytes) {
    outbox_ += bytes;
    if (client_) tasks_.spawn("raw", flush(client_));
  }

 private:
  using Reply = std::expected<boost::json::value, std::pair<std::string, std::string>>;
  static Reply no(std::string words, std::string kind = "GenericError") {
    return std::unexpected(std::pair(std::move(kind), std::move(words)));
  }

  asio::awaitable<void> serve(std::chrono::milliseconds listens_after) {
    if (listens_after.count() != 0) {
      if (!co_await sleep_for(listens_after)) co_return;
      acceptor_.listen();
    }
    while (true) {
      auto client = std::make_shared<Socket::socket>(acceptor_.get_executor());
      const auto [error] = co_await acceptor_.async_accept(*client, kAsTuple);
      if (error) co_return;
      client_ = client;
      outbox_.clear();
      co_await converse(client);
      if (client_ == client) client_.reset();
    }
  }

  asio::awaitable<void> flush(std::shared_ptr<Socket::socket> client) {
    if (outbox_.empty() || is_writing_) co_return;
    is_writing_ = true;
    while (!outbox_.empty()) {
      const std::string bytes = std::exchange(outbox_, {});
      const auto [error, written] = co_await asio::async_write(*client, asio::buffer(bytes), kAsTuple);
      if (error) break;
    }
    is_writing_ = false;
  }

  asio::awaitable<void> converse(std::shared_ptr<Socket::socket> client) {
    if (greets) {
      outbox_ = R"({"QMP": {"version": {"qemu": {"micro": 2, "minor": 0, "major": 10}, )"
                R"("package": "Debian 1:10.0.2"}, "capabilities": ["oob"]}})"
                "\r\n";
    }
    co_await flush(client);
    std::string buffer;
    while (true) {
      const auto [error, size] =
          co_await asio::async_read_until(*client, asio::dynamic_buffer(buffer), '\n', kAsTuple);
      if (error) co_return;
      const object line = boost::json::parse(buffer.substr(0, size)).as_object();
      buffer.erase(0, size);
      const std::string command(line.at("execute").as_string());
      commands.push_back(command);
      if (command == hangs_at) continue;
      if (command == dies_at) co_return die();
      if (command == hangs_up_before) co_return hangs_up_before.clear();
      const object arguments = line.contains("arguments") ? line.at("arguments").as_object() : object();
      const Reply reply = execute(command, arguments);
      if (command == hangs_up_after) co_return hangs_up_after.clear();
      object answer{{"id", line.at("id")}};
      if (reply) {
        answer["return"] = *reply;
      } else {
        answer["error"] = object{{"class", reply.error().first}, {"desc", reply.error().second}};
      }
      outbox_ += serialize(answer) + "\r\n";
      co_await flush(client);
    }
  }

  Reply execute(const std::string& command, const object& arguments) {
    const auto text = [&](const char* key) {
      return arguments.contains(key) ? std::string(arguments.at(key).as_string()) : std::string();
    };
    if (const auto refusal = refusals.find(command); refusal != refusals.end()) return no(refusal->second);
    if (command == "qmp_capabilities") return object();
    if (command == "qom-list") return qom_list(text("path"));
    if (command == "qom-get") return qom_get(text("path"), text("property"));
    if (command == "query-pci") return query_pci();
    if (command == "query-memdev")
      return boost::json::array{object{{"id", "pc.ram"}, {"share", is_memory_shared}}};
    if (command == "query-chardev") {
      boost::json::array all{object{{"label", "compat_monitor0"}, {"frontend-open", true}}};
      for (const auto& id : chardevs) all.push_back(object{{"label", id}, {"frontend-open", false}});
      return all;
    }
    if (command == "device_add") return device_add(text("id"), text("bus"), arguments);
    if (command == "device_del") return device_del(text("id"));
    if (command == "chardev-add") {
      if (!chardevs.insert(text("id")).second)
        return no(fmt::format("Chardev with id '{}' already exists", text("id")));
      return object();
    }
    if (command == "chardev-remove") {
      if (chardevs.erase(text("id")) == 0) return no(fmt::format("Chardev '{}' not found", text("id")));
      return object();
    }
    if (command == "netdev_add") {
      if (!chardevs.contains(text("chardev")))
        return no(fmt::format("chardev \"{}\" not found", text("chardev")));
      netdevs.insert(text("id"));
      backends_[text("id")] = text("chardev");
      return object();
    }
    if (command == "netdev_del") {
      if (const auto chardev = backends_.extract(text("id"))) chardevs.erase(chardev.mapped());
      if (netdevs.erase(text("id")) == 0)
        return no(fmt::format("Device '{}' not found", text("id")), "DeviceNotFound");
      return object();
    }
    return no(fmt::format("The command {} has not been found", command), "CommandNotFound");
  }

  Reply qom_list(const std::string& path) {
    boost::json::array items{object{{"name", "type"}, {"type", "string"}}};
    const auto add = [&](const std::string& name, const std::string& type) {
      items.push_back(object{{"name", name}, {"type", type}});
    };
    if (path == "/machine/peripheral") {
      for (const auto& [id, device] : devices) add(id, fmt::format("child<{}>", device.driver));
      for (const auto& [id, port] : ports) add(id, fmt::format("child<{}>", port.type));
      return items;
    }
    for (const auto& [id, port] : ports) {
      if (path != fmt::format("/machine/peripheral/{}/{}", id, id)) continue;
      for (const auto& [name, device] : devices) {
        if (device.port == id) add("child[0]", fmt::format("link<{}>", device.driver));
      }
      return items;
    }
    return no(fmt::format("Device '{}' not found", path), "DeviceNotFound");
  }

  Reply qom_get(const std::string& path, const std::string& property) {
    const std::string id = path.substr(path.rfind('/') + 1);
    if (const auto port = ports.find(id); port != ports.end()) {
      if (property == "hotplug") return port->second.hotplug;
      if (property == "parent_bus") return boost::json::string(port->second.parent_bus);
    }
    if (const auto device = devices.find(id); device != devices.end()) {
      const auto& on = device->second.port;
      if (property == "parent_bus")
        return boost::json::string(fmt::format("/machine/peripheral/{}/{}", on, on));
      if (property == "host") return boost::json::string(device->second.host);
      if (property == "mac") return boost::json::string(device->second.mac);
    }
    return no(fmt::format("Device '{}' not found", path), "DeviceNotFound");
  }

  Reply query_pci() {
    boost::json::array on_bus;
    std::int64_t number = 0;
    for (const auto& [id, port] : ports) {
      boost::json::array behind;
      for (const auto& [name, device] : devices) {
        if (device.port == id) behind.push_back(object{{"qdev_id", name}});
      }
      object bridge{{"bus", object{{"secondary", is_numbered ? ++number : 0}}}};
      if (is_numbered && !behind.empty()) bridge["devices"] = behind;
      on_bus.push_back(object{{"qdev_id", id}, {"pci_bridge", bridge}});
    }
    return boost::json::array{object{{"bus", 0}, {"devices", on_bus}}};
  }

  Reply device_add(const std::string& id, const std::string& bus, const object& arguments) {
    if (!taken_behind_our_back.empty())
      devices["theirs"] = {.driver = "virtio-net-pci", .port = std::exchange(taken_behind_our_back, {})};
    const auto port = ports.find(bus);
    if (port == ports.end()) return no(fmt::format("Bus '{}' not found", bus));
    if (devices.contains(id)) return no(fmt::format("Duplicate device ID '{}'", id));
    if (!port->second.hotplug) return no(fmt::format("Bus '{}' does not support hotplugging", bus));
    const std::string driver(arguments.at("driver").as_string());
    for (const auto& [name, device] : devices) {
      if (device.port == bus)
        return no(
            fmt::format("PCI: slot 0 function 0 already occupied by {}, new func {} cannot be exposed to "
                        "guest.",
                        device.driver, driver));
    }
    const auto text = [&](const char* key) {
      return arguments.contains(key) ? std::string(arguments.at(key).as_string()) : std::string();
    };
    if (driver == "virtio-net-pci" && !netdevs.contains(text("netdev")))
      return no(fmt::format("Property 'virtio-net-device.netdev' can't find value '{}'", text("netdev")));
    devices[id] = {.driver = driver, .port = bus, .host = text("host"), .mac = text("mac")};
    return object();
  }

  Reply device_del(const std::string& id) {
    if (!devices.contains(id)) return no(fmt::format("Device '{}' not found", id), "DeviceNotFound");
    if (has_native_hotplug && leaving_.contains(id))
      return no(fmt::format("Device {} is already in the process of unplug", id));
    leaving_.insert(id);
    if (guest == Guest::kIgnores) return object();
    if (requests_ignored > 0) {
      --requests_ignored;
      return object();
    }
    tasks_.spawn("guest", let_go(id));
    return object();
  }

  asio::awaitable<void> let_go(std::string id) {
    if (!co_await sleep_for(guest_takes)) co_return;
    leaving_.erase(id);
    if (guest == Guest::kRefuses)
      co_return send_event("DEVICE_UNPLUG_GUEST_ERROR",
                           {{"device", id}, {"path", "/machine/peripheral/" + id}});
    if (devices.erase(id) == 0 || loses_events) co_return;
    send_event("DEVICE_DELETED", {{"path", fmt::format("/machine/peripheral/{}/virtio-backend", id)}});
    send_event("DEVICE_DELETED", {{"device", id}, {"path", "/machine/peripheral/" + id}});
  }

  std::string path_;
  Socket::acceptor acceptor_;
  TaskGroup tasks_;
  std::shared_ptr<Socket::socket> client_;
  std::string outbox_;
  bool is_writing_ = false;
  std::set<std::string> leaving_;
  std::map<std::string, std::string> backends_;  // netdev -> the chardev that goes with it
};

}  // namespace berth::testing
