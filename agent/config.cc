#include "agent/config.h"

#include "base/config_file.h"
#include "host/qemu/vm_monitor.h"

#include <algorithm>
#include <sstream>
#include <utility>

#include <fmt/format.h>

namespace berth::agent {
namespace {

constexpr std::int64_t kMaxAuditIntervalSeconds = 86400;
constexpr std::int64_t kMaxVfs = 255;

void read_api(const toml::value& root, Config& config, Error& error) {
  Section api(root, "api", error);
  config.api.listen = api.required_string("listen");
  config.api.certificate = api.required_string("certificate");
  config.api.private_key = api.required_string("private_key");
  config.api.trusted_ca = api.required_string("trusted_ca");
  config.api.trust_domain = api.required_string("trust_domain");
}

void read_eswitch(const toml::value& root, Config& config, Error& error) {
  Section eswitch(root, "eswitch", error);
  config.eswitch.kind = eswitch.string("kind", "embedded");
  const bool is_remote = config.eswitch.kind == "remote";
  if (!is_remote && config.eswitch.kind != "embedded")
    eswitch.complain("kind", "must be \"embedded\" or \"remote\"");
  if (is_remote) config.eswitch.socket = eswitch.required_string("socket");
  const auto limit = [&](const char* key) {
    return static_cast<std::size_t>(eswitch.integer(key, 0, 0, 1 << 24));
  };
  config.eswitch.limits = {
      .rules = limit("max_rules"), .counters = limit("max_counters"), .meters = limit("max_meters")};
  read_ports(eswitch, config.eswitch);
  if (!is_remote) read_engine(eswitch, config.eswitch);
}

std::optional<host::PciAddress> read_address(Section& section, const std::string& key,
                                             const std::string& text) {
  const auto address = host::PciAddress::parse(key, text);
  if (!address) section.complain(key, fmt::format("'{}' is not a PCI address like 0000:3b:00.0", text));
  return address ? std::optional(*address) : std::nullopt;
}

// "0000:00:03.0 3 1af4:1041": bridge, slot ("-": none), vendor and device.
std::optional<host::FunctionSlot> parse_slot(const std::string& text) {
  std::istringstream words(text);
  std::string bridge, slot, ids, more;
  words >> bridge >> slot >> ids;
  const auto address = host::PciAddress::parse("slots", bridge);
  unsigned vendor = 0;
  unsigned device = 0;
  char colon = 0;
  std::istringstream numbers(ids);
  numbers >> std::hex >> vendor >> colon >> device;
  const bool is_name = slot.find('/') == std::string::npos && !slot.starts_with('.');
  if (!address || !is_name || !numbers || !numbers.eof() || colon != ':' || vendor > 0xffff ||
      device > 0xffff || words >> more)
    return std::nullopt;
  return host::FunctionSlot{.bridge = *address,
                            .slot = slot == "-" ? "" : slot,
                            .vendor_id = static_cast<std::uint16_t>(vendor),
                            .device_id = static_cast<std::uint16_t>(device)};
}

// Of a NIC that is the eSwitch: its VFs, which were there before it was opened and must stay.
void read_pf_of_eswitch(Section& section, Config& config) {
  const host::PciAddress pf = *config.eswitch.pci;
  for (const std::string& text : section.strings("pfs")) {
    const auto other = read_address(section, "pfs", text);
    if (other && *other != pf) {
      section.complain("pfs", fmt::format("an eSwitch is of one PF: {} (eswitch.pci) alone, or nothing", pf));
    }
  }
  if (section.integer("vfs", 0, 0, kMaxVfs) != 0) {
    section.complain("vfs", fmt::format("the VFs of {} (eswitch.pci) are made before its eSwitch is opened, "
                                        "and never while it is open",
                                        pf));
  }
  config.host.pfs = {pf};
  config.host.vfs = config.eswitch.functions;
}

void read_pfs(Section& section, Config& config) {
  auto& pfs = config.host.pfs;
  for (const std::string& text : section.strings("pfs")) {
    const auto pf = read_address(section, "pfs", text);
    if (pf && std::ranges::find(pfs, *pf) != pfs.end())
      section.complain("pfs", fmt::format("{} is in the list twice", *pf));
    if (pf) pfs.push_back(*pf);
  }
  const std::size_t functions = config.eswitch.functions;
  if (pfs.empty() || functions % pfs.size() != 0) {
    section.complain("pfs", fmt::format("must be PFs among which the eSwitch's {} functions divide evenly, "
                                        "[\"0000:3b:00.0\"] say; {} are not",
                                        functions, pfs.size()));
    return;
  }
  const auto share = static_cast<std::int64_t>(functions / pfs.size());
  config.host.vfs = static_cast<std::uint16_t>(section.integer("vfs", share, share, kMaxVfs));
}

void read_provider(Section& section, Config& config) {
  const std::int64_t functions = config.eswitch.functions;
  config.host.provider = section.string("provider", "pool");
  if (config.eswitch.pci && config.host.provider != "pool") {
    section.complain("provider", "must be \"pool\" with a NIC (eswitch.pci): its functions are its VFs");
  } else if (config.eswitch.pci) {
    read_pf_of_eswitch(section, config);
  } else if (config.host.provider == "pool") {
    read_pfs(section, config);
  } else if (config.host.provider == "slot") {
    for (const std::string& text : section.strings("slots")) {
      const auto slot = parse_slot(text);
      if (!slot)
        section.complain("slots", fmt::format("'{}' is not like \"0000:00:03.0 3 1af4:1041\"", text));
      if (slot) config.host.slots.push_back(*slot);
    }
    if (config.host.slots.size() != config.eswitch.functions)
      section.complain("slots", fmt::format("must be {}, one for each function", functions));
  } else if (config.host.provider == "virtnet") {
    auto& virtnet = config.host.virtnet;
    virtnet.program = section.string("virtnet", virtnet.program);
    virtnet.rdma_device = section.string("virtnet_device", virtnet.rdma_device);
    if (!virtnet.program.starts_with('/')) section.complain("virtnet", "must be a path from /");
  } else {
    section.complain("provider", "must be \"pool\", \"slot\" or \"virtnet\"");
  }
}

// What a function is: a socket of the software eSwitch, or a VF.
void read_kind(Section& section, Config& config) {
  Config::Host& host = config.host;
  host.functions = section.string("functions", config.eswitch.pci ? "" : "vhost-user");
  if (config.eswitch.pci && !host.are_vfs() && !host.are_unmanaged()) {
    section.complain("functions", "must be \"vf\" or \"unmanaged\" with a NIC (eswitch.pci)");
  } else if (host.are_unmanaged() && !config.eswitch.pci) {
    section.complain("functions", "can be \"unmanaged\" with a NIC (eswitch.pci) only");
  } else if (!host.are_vfs() && !host.are_unmanaged() && !host.are_vhost_user()) {
    section.complain("functions", "must be \"vhost-user\", \"vf\" or \"unmanaged\"");
  }
}

void read_host(const toml::value& root, Config& config, Error& error) {
  Section section(root, "host", error);
  read_kind(section, config);
  const bool are_vfs = config.host.are_vfs();
  if (are_vfs) read_provider(section, config);
  for (const std::string& text : section.strings("devices")) {
    if (const auto device = read_address(section, "devices", text)) config.host.devices.insert(*device);
  }
  // PCI functions outlive the process that gave them away, so what it knows of them must, too.
  const bool needs_more = are_vfs || !config.host.devices.empty();
  if (needs_more && config.qemu.monitor.empty())
    section.complain("functions", "PCI functions go into VMs by their monitors: qemu.monitor is required");
  if (needs_more && config.agent.state_dir.empty())
    section.complain("functions", "PCI functions need a memory: agent.state_dir is required");
}

constexpr std::size_t kLongestId = 63;  // base/ids.h

void read_qemu(const toml::value& root, Config& config, Error& error) {
  Section qemu(root, "qemu", error);
  config.qemu.monitor = qemu.string("monitor", "");
  config.qemu.ports = qemu.string("ports", "");
  config.qemu.answer_wait_ms = static_cast<std::uint32_t>(qemu.integer("answer_wait_ms", 30000, 100, 600000));
  config.qemu.unplug_wait_ms = static_cast<std::uint32_t>(qemu.integer("unplug_wait_ms", 20000, 100, 600000));
  config.qemu.unplug_attempts = static_cast<std::uint32_t>(qemu.integer("unplug_attempts", 8, 1, 100));
  if (config.qemu.monitor.empty()) return;
  // The longest id that a VM can have.
  const auto path =
      host::qemu::monitor_path(config.qemu.monitor, VmId::trusted(std::string(kLongestId, 'x')));
  if (!path) qemu.complain("monitor", path.error().message);
}

void read_rest(const toml::value& root, Config& config, Error& error) {
  Section attach(root, "attach", error);
  config.attach.patience_ms = static_cast<std::uint32_t>(attach.integer("patience_ms", 5000, 0, 600000));
  config.attach.max_running = static_cast<std::size_t>(attach.integer("max_running", 64, 1, 65536));
  config.attach.max_operations = static_cast<std::size_t>(attach.integer("max_operations", 4096, 2, 1048576));
  config.attach.vpc_wait_ms = static_cast<std::uint32_t>(attach.integer("vpc_wait_ms", 1000, 0, 60000));
  Section agent(root, "agent", error);
  config.agent.state_dir = agent.string("state_dir", "");
  if (config.eswitch.kind == "remote" && config.agent.state_dir.empty())
    agent.complain("state_dir", "is required beside a remote eSwitch: without it rules cannot be adopted");
  Section completions(root, "completions", error);
  config.completions.receivers = completions.strings("receivers");
  config.completions.server_name = completions.string("server_name", "");
  config.agent.audit_interval_s =
      static_cast<std::uint32_t>(agent.integer("audit_interval_s", 30, 0, kMaxAuditIntervalSeconds));
  config.log.level = read_log_level(root, error);
}

}  // namespace

host::VfPool vf_pool(const Config& config) {
  return {config.host.pfs, static_cast<std::uint16_t>(config.eswitch.functions / config.host.pfs.size())};
}

Result<Config> parse_config(const std::string& text, const std::string& name) {
  const auto root = parse_toml(text, name);
  if (!root) return pass(root);
  Config config;
  Error error{.code = Code::kInvalidArgument, .message = ""};
  check_sections(
      *root, {"api", "underlay", "eswitch", "host", "agent", "qemu", "attach", "completions", "log"}, error);
  read_api(*root, config, error);
  config.underlay = read_underlay(*root, error);
  read_eswitch(*root, config, error);
  read_qemu(*root, config, error);
  read_rest(*root, config, error);
  read_host(*root, config, error);
  if (!error.message.empty()) return std::unexpected(std::move(error).in(name));
  return config;
}

Result<Config> load_config(const std::filesystem::path& file) {
  const auto text = read_config_file(file);
  if (!text) return pass(text);
  return parse_config(*text, file.string());
}

}  // namespace berth::agent
