#include "host/preflight/files.h"

#include <algorithm>
#include <charconv>
#include <fstream>

namespace berth::host::preflight {

namespace fs = std::filesystem;

std::string read_file(const fs::path& file) {
  constexpr std::size_t kMost = 64UL * 1024;
  std::ifstream stream(file, std::ios::binary);
  std::string text(kMost, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(std::max<std::streamsize>(stream.gcount(), 0)));
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

std::uint64_t read_count(const fs::path& file) {
  const std::string text = read_file(file);
  std::uint64_t count = 0;
  (void)std::from_chars(text.data(), text.data() + text.size(), count);  // 0 otherwise
  return count;
}

std::vector<fs::path> list_folder(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) entries.push_back(entry.path());
  std::ranges::sort(entries);
  return entries;
}

std::vector<fs::path> list_physical_functions(const fs::path& root) {
  std::vector<fs::path> found;
  for (const fs::path& device : list_folder(root / "sys/bus/pci/devices")) {
    if (read_file(device / "class").starts_with("0x02") && read_count(device / "sriov_totalvfs") > 0)
      found.push_back(device);
  }
  return found;
}

bool has_passthrough(const fs::path& root) {
  if (!list_physical_functions(root).empty()) return true;
  return std::ranges::any_of(list_folder(root / "sys/bus/pci/devices"), [](const fs::path& device) {
    const std::string vendor = read_file(device / "vendor");
    return read_file(device / "class").starts_with("0x03") && (vendor == "0x10de" || vendor == "0x1002");
  });
}

}  // namespace berth::host::preflight
