#include "host/start_arguments.h"

#include <utility>

#include <fmt/format.h>

namespace berth::host {
namespace {

constexpr unsigned kFirstChassis = 128;

// A value of a QEMU option list: commas are doubled.
std::string escape_option(const std::string& value) {
  std::string escaped;
  for (const char c : value) escaped += c == ',' ? std::string(",,") : std::string(1, c);
  return escaped;
}

std::string escape_xml(const std::string& value) {
  std::string escaped;
  for (const char c : value) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '\'':
        escaped += "&apos;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

std::string port_id(const VmDevice& device) {
  return device.id + "-port";
}

std::string root_port(const VmDevice& device) {
  return fmt::format("pcie-root-port,id={},bus=pcie.0,chassis={}", escape_option(port_id(device)),
                     kFirstChassis + device.number);
}

StartArguments arguments_of(const VmDevice& device, const VfioDevice& vfio) {
  const PciAddress& at = vfio.address;
  return {.qemu = {"-device", root_port(device), "-device",
                   fmt::format("vfio-pci,id={},bus={},host={}", escape_option(device.id),
                               escape_option(port_id(device)), at)},
          .libvirt_xml = fmt::format(
              "<hostdev mode='subsystem' type='pci' managed='no'>\n"
              "  <driver name='vfio'/>\n"
              "  <source>\n"
              "    <address domain='0x{:04x}' bus='0x{:02x}' slot='0x{:02x}' function='0x{:x}'/>\n"
              "  </source>\n"
              "  <alias name='{}'/>\n"
              "</hostdev>\n",
              at.domain, at.bus, at.device, at.function, escape_xml(libvirt_id(device.id)))};
}

StartArguments arguments_of(const VmDevice& device, const VhostUserDevice& vhost) {
  return {.qemu = {"-chardev",
                   fmt::format("socket,id={},path={}", escape_option(chardev_id(device.id)),
                               escape_option(vhost.socket)),
                   "-netdev",
                   fmt::format("vhost-user,id={},chardev={}", escape_option(netdev_id(device.id)),
                               escape_option(chardev_id(device.id))),
                   "-device", root_port(device), "-device",
                   fmt::format("virtio-net-pci,id={},bus={},netdev={},mac={}", escape_option(device.id),
                               escape_option(port_id(device)), escape_option(netdev_id(device.id)),
                               vhost.mac.str())},
          .libvirt_xml =
              fmt::format("<interface type='vhostuser'>\n"
                          "  <mac address='{}'/>\n"
                          "  <source type='unix' path='{}' mode='client'/>\n"
                          "  <model type='virtio'/>\n"
                          "  <alias name='{}'/>\n"
                          "</interface>\n",
                          vhost.mac.str(), escape_xml(vhost.socket), escape_xml(libvirt_id(device.id)))};
}

}  // namespace

std::string chardev_id(const std::string& device_id) {
  return device_id + "-chr";
}
std::string netdev_id(const std::string& device_id) {
  return device_id + "-net";
}
std::string libvirt_id(const std::string& device_id) {
  return "ua-" + device_id;
}

StartArguments start_arguments(const VmDevice& device) {
  return std::visit([&](const auto& kind) { return arguments_of(device, kind); }, device.device);
}

}  // namespace berth::host
