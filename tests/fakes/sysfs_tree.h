// A host's PCI devices as a folder that looks like /sys, made from a text that a person can read:
//
//   pci0000:15 numa=0
//     0000:15:01.0 class=060400 id=8086:352a acs=1d
//       0000:16:00.0 class=020000 id=15b3:1021 link=32.0x16 group=40 ats=on net=eth1
//       0000:16:00.2 class=020000 id=15b3:101e group=41 vf=0000:16:00.0#0
//
// A device is behind the one that it is indented under. link=<GT/s>x<width>[/<at most>]; acs=<control, hex>;
// config=64: no more of its configuration space can be read (else 4096 bytes).
#pragma once

#include "tests/fakes/test_folder.h"

#include <array>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace berth::testing {

class SysfsTree {
  using path = std::filesystem::path;

 public:
  explicit SysfsTree(const path& description) {
    std::ifstream lines(description);
    if (!lines) throw std::runtime_error("no " + description.string());
    std::filesystem::create_directories(root_ / "sys/bus/pci/devices");
    std::vector<path> above;
    for (std::string line; std::getline(lines, line);) {
      const auto indent = line.find_first_not_of(' ');
      if (indent == std::string::npos || line[indent] == '#') continue;
      above.resize(indent / 2);
      above.push_back(add(above, line.substr(indent)));
    }
  }

  const path& root() const { return root_.path(); }
  path device(const std::string& address) const { return root_ / "sys/bus/pci/devices" / address; }
  void write(const path& file, const std::string& text) const {
    std::filesystem::create_directories((root_ / file).parent_path());
    std::ofstream(root_ / file, std::ios::binary) << text;
  }

 private:
  path add(const std::vector<path>& above, const std::string& line) {
    std::istringstream words(line);
    std::string name;
    words >> name;
    std::map<std::string, std::string> keys;
    for (std::string word; words >> word;)
      keys[word.substr(0, word.find('='))] = word.substr(word.find('=') + 1);
    const path folder = above.empty() ? root_ / "sys/devices" / name : above.back() / name;
    std::filesystem::create_directories(folder);
    if (above.empty()) {
      numa_ = keys.contains("numa") ? keys["numa"] : "-1";
      return folder;
    }
    const auto file = [&](const char* at, const std::string& text) {
      std::ofstream(folder / at) << text << "\n";
    };
    const std::string id = keys.at("id");
    file("class", "0x" + keys.at("class"));
    file("vendor", "0x" + id.substr(0, 4));
    file("device", "0x" + id.substr(5));
    file("numa_node", numa_);
    add_link(folder, keys["link"]);
    add_config(folder, keys);
    if (keys.contains("group")) {
      const path group = root_ / "sys/kernel/iommu_groups" / keys["group"];
      std::filesystem::create_directories(group);
      std::filesystem::create_symlink(group, folder / "iommu_group");
    }
    if (keys.contains("net")) std::filesystem::create_directories(folder / "net" / keys["net"]);
    if (keys.contains("vf")) {
      const std::string vf = keys["vf"];
      const path owner = above.back() / vf.substr(0, vf.find('#'));
      std::filesystem::create_symlink(owner, folder / "physfn");
      std::filesystem::create_symlink(folder, owner / ("virtfn" + vf.substr(vf.find('#') + 1)));
    }
    std::filesystem::create_symlink(folder, root_ / "sys/bus/pci/devices" / name);
    return folder;
  }

  static void add_link(const path& folder, const std::string& link) {
    const auto slash = link.find('/');
    const std::string now = link.substr(0, slash);
    const std::string most = slash == std::string::npos ? now : link.substr(slash + 1);
    const auto part = [&](const char* prefix, const std::string& text) {
      const auto x = text.find('x');
      std::ofstream(folder / (std::string(prefix) + "_link_speed"))
          << (text.empty() ? "Unknown" : text.substr(0, x) + " GT/s PCIe") << "\n";
      std::ofstream(folder / (std::string(prefix) + "_link_width"))
          << (text.empty() ? "0" : text.substr(x + 1)) << "\n";
    };
    part("current", now);
    part("max", most);
  }

  // Extended capabilities as a device has them: AER first, then ACS and ATS.
  static void add_config(const path& folder, std::map<std::string, std::string>& keys) {
    std::vector<std::uint8_t> bytes(keys.contains("config") ? std::stoul(keys["config"]) : 4096);
    struct Entry {
      std::uint32_t id, version, control;
    };
    std::vector<Entry> entries = {{0x0001, 2, 0}};
    if (keys.contains("acs"))
      entries.push_back({0x000D, 1, static_cast<std::uint32_t>(std::stoul(keys["acs"], nullptr, 16))});
    if (keys.contains("ats")) entries.push_back({0x000F, 1, keys["ats"] == "on" ? 0x8000U : 0U});
    for (std::size_t i = 0; i < entries.size() && bytes.size() == 4096; ++i) {
      const std::size_t at = 0x100 + 0x50 * i;
      const std::uint32_t next = i + 1 < entries.size() ? static_cast<std::uint32_t>(at + 0x50) : 0;
      const std::uint32_t header = entries[i].id | entries[i].version << 16 | next << 20;
      for (unsigned byte = 0; byte < 4; ++byte)
        bytes[at + byte] = static_cast<std::uint8_t>(header >> 8 * byte);
      bytes[at + 6] = static_cast<std::uint8_t>(entries[i].control);
      bytes[at + 7] = static_cast<std::uint8_t>(entries[i].control >> 8);
    }
    std::ofstream(folder / "config", std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }

  TestFolder root_{"sysfs"};
  std::string numa_;
};

}  // namespace berth::testing
