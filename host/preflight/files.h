// Small readings of /sys and /proc, where everything may be missing.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace berth::host::preflight {

// "" when it cannot be read; at most 64 KiB; without trailing blanks.
std::string read_file(const std::filesystem::path& file);
// 0 when it is no number.
std::uint64_t read_count(const std::filesystem::path& file);
// Entries of a folder, sorted; empty when there is none.
std::vector<std::filesystem::path> list_folder(const std::filesystem::path& folder);

// A NIC's functions with SR-IOV, by folder in /sys/bus/pci/devices.
std::vector<std::filesystem::path> list_physical_functions(const std::filesystem::path& root);

// Whether there is anything to pass through to a VM: a NIC with SR-IOV, a GPU of NVIDIA or AMD.
bool has_passthrough(const std::filesystem::path& root);

}  // namespace berth::host::preflight
