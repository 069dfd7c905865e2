#include "tests/fakes/fake_kernel.h"

#include <cerrno>
#include <fstream>

#include <fmt/format.h>

namespace berth::testing {
namespace {

namespace fs = std::filesystem;
using host::kernel_error;
using host::PciAddress;
using host::Uevent;

void put(const fs::path& file, const std::string& text) {
  std::ofstream(file, std::ios::binary | std::ios::trunc) << text;
}

std::string trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\0')) text.pop_back();
  return text;
}

bool ends_with(const fs::path& file, const std::string& ending) {
  return file.string().ends_with(ending);
}

}  // namespace

FakeKernel::FakeKernel() {
  for (const char* folder :
       {"sys/bus/pci/devices", "sys/bus/pci/drivers/vfio-pci", "sys/bus/pci/slots", "sys/kernel/iommu_groups",
        "sys/devices/pci0000:00", "dev/vfio", "proc/sys/kernel/random"})
    fs::create_directories(root / folder);
  put(root / "sys/bus/pci/drivers_probe", "");
  put(root / "dev/vfio/vfio", "");
  begin_boot();
}

void FakeKernel::begin_boot() {
  put(root / "proc/sys/kernel/random/boot_id", fmt::format("b0071d00-0000-4000-8000-{:012x}\n", ++boots_));
}

void FakeKernel::add(const Device& device) {
  const Lock lock(mutex_);
  insert(device, std::nullopt);
  if (!device.host_driver.empty()) set_driver(entries_.at(device.address), device.host_driver);
}

void FakeKernel::hotplug(const Device& device) {
  const Lock lock(mutex_);
  insert(device, std::nullopt);
  tell(Uevent::Action::kAdd, device.address);
  probe(entries_.at(device.address));
}

void FakeKernel::unplug(PciAddress address) {
  Lock lock(mutex_);
  remove(lock, address);
}

void FakeKernel::add_slot(const std::string& name, PciAddress bridge, std::optional<Device> device) {
  const Lock lock(mutex_);
  const fs::path folder = root / "sys/bus/pci/slots" / name;
  fs::create_directories(folder);
  put(folder / "power", "0\n");
  put(folder / "address", "0000:02:00\n");
  slots_[name] = {bridge, std::move(device)};
}

bool FakeKernel::open_group(PciAddress address) {
  const Lock lock(mutex_);
  const auto found = entries_.find(address);
  if (found == entries_.end() || !found->second.device.group) return false;
  if (tree().driver_of(address) != "vfio-pci") return false;
  return open_groups_.insert(*found->second.device.group).second;
}

void FakeKernel::close_group(PciAddress address) {
  const Lock lock(mutex_);
  const auto found = entries_.find(address);
  if (found != entries_.end() && found->second.device.group) open_groups_.erase(*found->second.device.group);
  changed_.notify_all();
}

void FakeKernel::soil(PciAddress address) {
  const Lock lock(mutex_);
  entries_.at(address).is_dirty = true;
}

bool FakeKernel::is_dirty(PciAddress address) const {
  const Lock lock(mutex_);
  return entries_.at(address).is_dirty;
}

std::string FakeKernel::override_of(PciAddress address) const {
  std::ifstream file(link_of(address) / "driver_override");
  std::string text;
  std::getline(file, text);
  return text == "(null)" ? "" : text;
}

void FakeKernel::hang(const std::string& file_ending) {
  const Lock lock(mutex_);
  hanging_.insert(file_ending);
}

void FakeKernel::let_go() {
  const Lock lock(mutex_);
  hanging_.clear();
  changed_.notify_all();
}

std::size_t FakeKernel::hanging_count() const {
  const Lock lock(mutex_);
  return hanging_count_;
}

void FakeKernel::refuse(const std::string& file_ending, int errno_value) {
  const Lock lock(mutex_);
  refused_[file_ending] = errno_value;
}

void FakeKernel::set_probes_bind(bool do_bind) {
  const Lock lock(mutex_);
  probes_bind_ = do_bind;
}

void FakeKernel::set_dies_at_reset(PciAddress address, bool dies) {
  const Lock lock(mutex_);
  entries_.at(address).dies_at_reset = dies;
}

void FakeKernel::set_uevents(Uevents how) {
  const Lock lock(mutex_);
  uevents_ = how;
}

void FakeKernel::tell_late_uevents() {
  const Lock lock(mutex_);
  for (const Uevent& event : std::exchange(late_, {})) {
    if (listener_) listener_(event);
  }
}

std::vector<std::string> FakeKernel::writes() const {
  const Lock lock(mutex_);
  return writes_;
}

void FakeKernel::set_listener(std::function<void(Uevent)> listener) {
  const Lock lock(mutex_);
  listener_ = std::move(listener);
}

// The faults that any call can have.
Result<void> FakeKernel::admit(Lock& lock, const fs::path& file, const char* doing) {
  const auto hangs = [&] {
    return std::ranges::any_of(hanging_, [&](const auto& ending) { return ends_with(file, ending); });
  };
  if (hangs()) {
    ++hanging_count_;
    changed_.wait(lock, [&] { return !hangs(); });
    --hanging_count_;
  }
  for (const auto& [ending, number] : refused_) {
    if (number != 0 && ends_with(file, ending))
      return kernel_error(fmt::format("{} {}", doing, file.string()), number);
  }
  return {};
}

Result<void> FakeKernel::write(const fs::path& file, const std::string& text) {
  Lock lock(mutex_);
  writes_.push_back(fmt::format("{} {}", file.filename().string(), trimmed(text)));
  if (auto admitted = admit(lock, file, "write"); !admitted) return admitted;
  const auto refuse = [&](int number) {
    return kernel_error(fmt::format("write to {}", file.string()), number);
  };
  const std::string name = file.filename().string();
  if (name == "drivers_probe" || name == "unbind") {
    const auto address = PciAddress::parse("text", trimmed(text));
    if (!address || !entries_.contains(*address)) return refuse(ENODEV);
    if (name == "drivers_probe") {
      probe(entries_.at(*address));
      return {};
    }
    if (tree().driver_of(*address).empty()) return refuse(ENODEV);
    return unbind(lock, *address);
  }
  if (name == "power") {
    const auto slot = slots_.find(file.parent_path().filename().string());
    if (slot == slots_.end()) return refuse(ENOENT);
    put(file, trimmed(text) + "\n");
    set_power(lock, slot->second, trimmed(text));
    return {};
  }
  const auto address = PciAddress::parse("file", file.parent_path().filename().string());
  const auto entry = address ? entries_.find(*address) : entries_.end();
  if (entry == entries_.end()) return refuse(ENOENT);
  return write_attribute(lock, entry->second, name, trimmed(text), file);
}

Result<void> FakeKernel::write_attribute(Lock& lock, Entry& entry, const std::string& name,
                                         const std::string& text, const fs::path& file) {
  if (name == "driver_override") {
    put(file, (text.empty() ? "(null)" : text) + "\n");
    return {};
  }
  if (name == "sriov_drivers_autoprobe") {
    put(file, text + "\n");
    return {};
  }
  if (name == "sriov_numvfs") return set_numvfs(lock, entry, text, file);
  if (name == "reset") return reset(entry, file);
  if (name == "remove") {
    remove(lock, entry.device.address);
    return {};
  }
  if (name == "rescan") {
    for (auto& [slot_name, slot] : slots_) {
      if (slot.bridge == entry.device.address && slot.device && !entries_.contains(slot.device->address)) {
        insert(*slot.device, std::nullopt);
        tell(Uevent::Action::kAdd, slot.device->address);
        probe(entries_.at(slot.device->address));
      }
    }
    return {};
  }
  return kernel_error(fmt::format("write to {}", file.string()), EACCES);
}

void FakeKernel::reboot(std::uint8_t first_vf_device) {
  Lock lock(mutex_);
  const Uevents told = std::exchange(uevents_, Uevents::kLost);
  open_groups_.clear();
  hanging_.clear();
  changed_.notify_all();
  first_vf_device_ = first_vf_device;
  for (auto& [name, slot] : slots_) {
    put(root / "sys/bus/pci/slots" / name / "power", "0\n");
    if (slot.device && entries_.contains(slot.device->address)) remove(lock, slot.device->address);
  }
  for (const PciAddress& pf : tree().list()) {
    if (entries_.contains(pf) && entries_.at(pf).device.total_vfs > 0) destroy_vfs(lock, pf);
  }
  for (auto& [address, entry] : entries_) restart(lock, entry);
  begin_boot();
  uevents_ = told;
}

void FakeKernel::restart(Lock& lock, Entry& entry) {
  if (!tree().driver_of(entry.device.address).empty()) (void)unbind(lock, entry.device.address);
  entry.is_dirty = false;
  entry.is_dead = false;
  write_config(entry);
  put(entry.place / "driver_override", "(null)\n");
  if (entry.device.total_vfs > 0) put(entry.place / "sriov_drivers_autoprobe", "1\n");
  if (!entry.device.host_driver.empty()) set_driver(entry, entry.device.host_driver);
}

void FakeKernel::destroy_vfs(Lock& lock, PciAddress pf) {
  const auto vfs = tree().vfs_of(pf);
  for (std::size_t i = 0; i < vfs.size(); ++i) {
    remove(lock, vfs[i]);
    fs::remove(link_of(pf) / fmt::format("virtfn{}", i));
  }
  put(link_of(pf) / "sriov_numvfs", "0\n");
}

// sriov_numvfs_store() of drivers/pci/iov.c.
Result<void> FakeKernel::set_numvfs(Lock& lock, Entry& pf, const std::string& text, const fs::path& file) {
  const auto refuse = [&](int number) {
    return kernel_error(fmt::format("write to {}", file.string()), number);
  };
  const PciAddress address = pf.device.address;
  const auto wanted = static_cast<std::size_t>(std::stoul(text));
  const auto now = tree().vfs_of(address);
  if (wanted > pf.device.total_vfs) return refuse(ERANGE);
  if (wanted == now.size()) return {};
  if (tree().driver_of(address).empty()) return refuse(ENOENT);
  if (wanted != 0 && !now.empty()) return refuse(EBUSY);
  destroy_vfs(lock, address);
  for (std::size_t i = 0; i < wanted; ++i) {
    PciAddress vf = address;
    vf.device = static_cast<std::uint8_t>(first_vf_device_ + (2 * i) / 8);
    vf.function = static_cast<std::uint8_t>((2 * i) % 8);
    Device device{.address = vf, .device_id = 0x10ca, .host_driver = pf.device.host_driver + "vf"};
    if (pf.device.group) device.group = 100 + address.bus * 100U + static_cast<unsigned>(i);
    insert(device, address);
    fs::create_symlink(fs::path("..") / vf.str(), link_of(address) / fmt::format("virtfn{}", i));
    tell(Uevent::Action::kAdd, vf);
    probe(entries_.at(vf));
  }
  put(link_of(address) / "sriov_numvfs", fmt::format("{}\n", wanted));
  tell(Uevent::Action::kChange, address);
  return {};
}

Result<void> FakeKernel::reset(Entry& entry, const fs::path& file) {
  if (entry.device.reset_methods.empty())
    return kernel_error(fmt::format("write to {}", file.string()), ENOTTY);
  entry.is_dirty = false;
  entry.is_dead = entry.is_dead || entry.dies_at_reset;
  write_config(entry);
  return {};
}

// vfio_unregister_group_dev() waits, as long as it takes, for whoever has the device open.
Result<void> FakeKernel::unbind(Lock& lock, PciAddress address) {
  const auto group = entries_.at(address).device.group;
  if (tree().driver_of(address) == "vfio-pci" && group)
    changed_.wait(lock, [&] { return !open_groups_.contains(*group); });
  set_driver(entries_.at(address), "");
  return {};
}

// pci_device_can_probe() and driver_override of drivers/pci/pci-driver.c.
void FakeKernel::probe(Entry& entry) {
  const PciAddress address = entry.device.address;
  if (!tree().driver_of(address).empty()) return;
  const std::string forced = override_of(address);
  if (entry.physical && forced.empty()) {
    std::ifstream file(link_of(*entry.physical) / "sriov_drivers_autoprobe");
    int autoprobe = 1;
    file >> autoprobe;
    if (autoprobe == 0) return;
  }
  const std::string driver = forced.empty() ? entry.device.host_driver : forced;
  if (driver.empty() || !probes_bind_) return;
  if (driver == "vfio-pci" && (!tree().has_driver(driver) || !entry.device.group)) return;
  set_driver(entry, driver);
}

void FakeKernel::set_driver(Entry& entry, const std::string& name) {
  const PciAddress address = entry.device.address;
  const fs::path link = link_of(address) / "driver";
  const std::string old = tree().driver_of(address);
  const auto node = entry.device.group ? dev() / "vfio" / std::to_string(*entry.device.group) : fs::path();
  if (!old.empty()) {
    fs::remove(link);
    fs::remove(root / "sys/bus/pci/drivers" / old / address.str());
    if (old == "vfio-pci") fs::remove(node);
    tell(Uevent::Action::kUnbind, address);
  }
  if (name.empty()) return;
  const fs::path driver = root / "sys/bus/pci/drivers" / name;
  fs::create_directories(driver);
  fs::create_symlink(driver, link);
  fs::create_symlink(entry.place, driver / address.str());
  if (name == "vfio-pci") put(node, "");
  tell(Uevent::Action::kBind, address);
}

void FakeKernel::insert(const Device& device, std::optional<PciAddress> physical) {
  const PciAddress address = device.address;
  const fs::path above = device.below ? entries_.at(*device.below).place : root / "sys/devices/pci0000:00";
  Entry entry{.device = device, .place = above / address.str(), .physical = physical};
  fs::create_directories(entry.place);
  fs::create_directory_symlink(entry.place, link_of(address));
  put(entry.place / "vendor", fmt::format("0x{:04x}\n", device.vendor_id));
  put(entry.place / "device", fmt::format("0x{:04x}\n", device.device_id));
  put(entry.place / "class", fmt::format("0x{:06x}\n", device.class_code));
  put(entry.place / "numa_node", "-1\n");
  put(entry.place / "driver_override", "(null)\n");
  if (!device.reset_methods.empty()) {
    put(entry.place / "reset_method", device.reset_methods + "\n");
    put(entry.place / "reset", "");
  }
  if (device.total_vfs > 0) {
    put(entry.place / "sriov_totalvfs", fmt::format("{}\n", device.total_vfs));
    put(entry.place / "sriov_numvfs", "0\n");
    put(entry.place / "sriov_drivers_autoprobe", "1\n");
  }
  if (device.group) {
    const fs::path group = root / "sys/kernel/iommu_groups" / std::to_string(*device.group);
    fs::create_directories(group / "devices");
    fs::create_symlink(entry.place, group / "devices" / address.str());
    fs::create_symlink(group, entry.place / "iommu_group");
  }
  if (physical) fs::create_symlink(fs::path("..") / physical->str(), entry.place / "physfn");
  write_config(entry);
  entries_.insert_or_assign(address, entry);
}

void FakeKernel::remove(Lock& lock, PciAddress address) {
  if (!tree().driver_of(address).empty()) (void)unbind(lock, address);
  const Entry& entry = entries_.at(address);
  if (entry.device.group) {
    const fs::path group = root / "sys/kernel/iommu_groups" / std::to_string(*entry.device.group);
    fs::remove(group / "devices" / address.str());
    if (fs::is_empty(group / "devices")) fs::remove_all(group);
  }
  fs::remove(link_of(address));
  fs::remove_all(entry.place);
  entries_.erase(address);
  tell(Uevent::Action::kRemove, address);
}

void FakeKernel::set_power(Lock& lock, Slot& slot, const std::string& text) {
  if (!slot.device) return;
  const bool is_there = entries_.contains(slot.device->address);
  if (text == "0" && is_there) remove(lock, slot.device->address);
  if (text != "1" || is_there) return;
  insert(*slot.device, std::nullopt);
  tell(Uevent::Action::kAdd, slot.device->address);
  probe(entries_.at(slot.device->address));
}

// Of a VF vendor and device read all ones, dead or not (SR-IOV 1.1, 3.4.1.1); command and status do not.
void FakeKernel::write_config(const Entry& entry) {
  std::string bytes(64, entry.is_dead ? '\xff' : '\0');
  if (entry.physical) bytes.replace(0, 4, "\xff\xff\xff\xff");
  put(entry.place / "config", bytes);
}

Result<std::string> FakeKernel::read(const fs::path& file, std::size_t most) {
  Lock lock(mutex_);
  if (auto admitted = admit(lock, file, "read"); !admitted) return pass(admitted);
  std::ifstream stream(file, std::ios::binary);
  if (!stream) return kernel_error(fmt::format("open {}", file.string()), ENOENT);
  std::string text(most, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(most));
  text.resize(static_cast<std::size_t>(stream.gcount()));
  return text;
}

Result<void> FakeKernel::try_open(const fs::path& file) {
  Lock lock(mutex_);
  if (auto admitted = admit(lock, file, "open"); !admitted) return admitted;
  if (!fs::exists(file)) return kernel_error(fmt::format("open {}", file.string()), ENOENT);
  if (open_groups_.contains(static_cast<unsigned>(std::stoul(file.filename().string()))))
    return kernel_error(fmt::format("open {}", file.string()), EBUSY);
  return {};
}

void FakeKernel::tell(Uevent::Action action, PciAddress address) {
  const Uevent event{.action = action, .function = address};
  if (uevents_ == Uevents::kLate) late_.push_back(event);
  if (uevents_ == Uevents::kTold && listener_) listener_(event);
}

fs::path FakeKernel::link_of(PciAddress address) const {
  return root / "sys/bus/pci/devices" / address.str();
}

}  // namespace berth::testing
