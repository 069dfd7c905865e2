// A plan in the words of QEMU and of libvirt.
#include "host/topology/plan.h"

#include <fmt/format.h>

namespace berth::host::topology {
namespace {

class QemuWriter {
 public:
  std::vector<std::string> arguments;

  void write(const PlannedRoot& root) {
    const std::string node = root.guest_node >= 0 ? fmt::format(",numa_node={}", root.guest_node) : "";
    device(fmt::format("pxb-pcie,id={},bus=pcie.0,bus_nr={}{}", root.id, root.bus_number, node));
    for (const PlannedSwitch& planned : root.switches) write(root, planned);
    for (const PlannedPort& port : root.ports) {
      device(fmt::format("pcie-root-port,id={},bus={},chassis={}", port.id, root.id, port.chassis));
      write_function(port);
    }
  }

 private:
  void write(const PlannedRoot& root, const PlannedSwitch& planned) {
    device(fmt::format("pcie-root-port,id={0}-rp,bus={1},chassis={2}", planned.id, root.id, planned.chassis));
    device(fmt::format("x3130-upstream,id={0},bus={0}-rp", planned.id));
    for (const PlannedPort& port : planned.ports) {
      device(fmt::format("xio3130-downstream,id={},bus={},chassis={}", port.id, planned.id, port.chassis));
      write_function(port);
    }
  }
  void write_function(const PlannedPort& port) {
    if (port.device) device(fmt::format("vfio-pci,host={},bus={}", *port.device, port.id));
  }
  void device(std::string text) {
    arguments.emplace_back("-device");
    arguments.push_back(std::move(text));
  }
};

// libvirt names a bus by its controller's index, and fills gaps between indices with ports of its own: ours
// follow pcie.0, which has index 0.
class LibvirtWriter {
 public:
  std::string xml;

  void write(const PlannedRoot& root) {
    const unsigned expander = next_++;
    const std::string node =
        root.guest_node >= 0 ? fmt::format("\n    <node>{}</node>\n  ", root.guest_node) : "";
    xml += fmt::format(
        "<controller type='pci' index='{}' model='pcie-expander-bus'>\n"
        "  <target busNr='{}'>{}</target>\n"
        "</controller>\n",
        expander, root.bus_number, node);
    unsigned slot = 0;
    for (const PlannedSwitch& planned : root.switches) write(planned, expander, slot++);
    for (const PlannedPort& port : root.ports)
      write_function(port, controller("pcie-root-port", port.chassis, expander, slot++));
  }

 private:
  static constexpr unsigned kFirstIndex = 1;

  void write(const PlannedSwitch& planned, unsigned expander, unsigned slot) {
    const unsigned root_port = controller("pcie-root-port", planned.chassis, expander, slot);
    const unsigned upstream = controller("pcie-switch-upstream-port", 0, root_port, 0);
    unsigned below = 0;
    for (const PlannedPort& port : planned.ports)
      write_function(port, controller("pcie-switch-downstream-port", port.chassis, upstream, below++));
  }

  unsigned controller(const char* model, unsigned chassis, unsigned bus, unsigned slot) {
    const std::string target =
        chassis != 0 ? fmt::format("  <target chassis='{}' port='{}'/>\n", chassis, slot) : "";
    xml += fmt::format(
        "<controller type='pci' index='{}' model='{}'>\n"
        "{}"
        "  <address type='pci' domain='0x0000' bus='0x{:02x}' slot='0x{:02x}' function='0x0'/>\n"
        "</controller>\n",
        next_, model, target, bus, slot);
    return next_++;
  }

  void write_function(const PlannedPort& port, unsigned bus) {
    if (!port.device) return;
    const PciAddress& at = *port.device;
    xml += fmt::format(
        "<hostdev mode='subsystem' type='pci' managed='no'>\n"
        "  <driver name='vfio'/>\n"
        "  <source>\n"
        "    <address domain='0x{:04x}' bus='0x{:02x}' slot='0x{:02x}' function='0x{:x}'/>\n"
        "  </source>\n"
        "  <address type='pci' domain='0x0000' bus='0x{:02x}' slot='0x00' function='0x0'/>\n"
        "</hostdev>\n",
        at.domain, at.bus, at.device, at.function, bus);
  }

  unsigned next_ = kFirstIndex;
};

}  // namespace

StartArguments format_plan(const Plan& plan) {
  QemuWriter qemu;
  LibvirtWriter libvirt;
  for (const PlannedRoot& root : plan.roots) {
    qemu.write(root);
    libvirt.write(root);
  }
  return {.qemu = std::move(qemu.arguments), .libvirt_xml = std::move(libvirt.xml)};
}

}  // namespace berth::host::topology
