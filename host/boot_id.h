// Which boot of the host this is. What a former boot had is gone: VMs, VFs, the drivers of devices.
#pragma once

#include <filesystem>
#include <string>

namespace berth::host {

// A UUID that the kernel makes once in each boot; empty: not known. `proc` is /proc.
// Source: Documentation/admin-guide/sysctl/kernel.rst, random.
std::string read_boot_id(const std::filesystem::path& proc = "/proc");

}  // namespace berth::host
