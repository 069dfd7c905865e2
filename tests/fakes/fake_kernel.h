// A kernel with PCI functions: sysfs as real files and links in a folder of its own, and behind the
// attributes that do something the behaviour of Linux (drivers/pci/iov.c, pci-sysfs.c, drivers/base/bus.c,
// drivers/vfio/group.c), errno by errno. It also does on request what goes wrong on real hosts.
//
// Its attributes are touched by SysfsWorker's threads; everything else from the test's thread.
#pragma once

#include "host/pci/kernel_files.h"
#include "host/pci/pci_events.h"
#include "host/pci/pci_tree.h"
#include "tests/fakes/test_folder.h"

#include <condition_variable>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace berth::testing {

inline host::PciAddress pci(std::string_view text) {
  return host::PciAddress::parse("pci", text).value();
}

class FakeKernel : public host::KernelFiles {
 public:
  static constexpr std::uint8_t kFirstVfDevice = 16;

  struct Device {
    host::PciAddress address;
    std::uint32_t class_code = 0x020000;
    std::uint16_t vendor_id = 0x8086;
    std::uint16_t device_id = 0x10c9;
    std::string host_driver = "igb";  // what probes it when nothing else is said; empty: nothing
    std::optional<unsigned> group;
    std::uint16_t total_vfs = 0;
    std::optional<host::PciAddress> below = std::nullopt;  // the bridge that it hangs from
    std::string reset_methods = "flr";
  };

  FakeKernel();

  // A device that is there from the start, with its driver.
  void add(const Device& device);
  // One that comes while the kernel runs, and is told; its driver probes it.
  void hotplug(const Device& device);
  void unplug(host::PciAddress address);
  // A physical slot, as pciehp has: what comes when its power is switched on.
  void add_slot(const std::string& name, host::PciAddress bridge, std::optional<Device> device);

  // Somebody opens or closes the function's VFIO group. False: somebody else has it open, or it is not there.
  bool open_group(host::PciAddress address);
  void close_group(host::PciAddress address);
  // A tenant has used it; a reset makes it clean.
  void soil(host::PciAddress address);
  bool is_dirty(host::PciAddress address) const;
  std::string driver_of(host::PciAddress address) const { return tree().driver_of(address); }
  std::string override_of(host::PciAddress address) const;
  // The host is off and on again: no VFs, no overrides, every device new and with the driver that probes it,
  // slots without power, nobody has anything open, and nobody is told. VFs come back from this device number
  // on.
  void reboot(std::uint8_t first_vf_device = kFirstVfDevice);

  host::PciTree tree() const { return host::PciTree(root / "sys"); }
  std::filesystem::path dev() const { return root / "dev"; }

  // --- what goes wrong
  // Calls to files that end so never return, until let_go().
  void hang(const std::string& file_ending);
  void let_go();
  std::size_t hanging_count() const;
  // Calls to files that end so are refused with this errno; 0: no more.
  void refuse(const std::string& file_ending, int errno_value);
  // drivers_probe says yes and binds nothing.
  void set_probes_bind(bool do_bind);
  // A reset is done, but the function does not come back: its config space reads all ones.
  void set_dies_at_reset(host::PciAddress address, bool dies);
  enum class Uevents { kTold, kLost, kLate };
  void set_uevents(Uevents how);
  void tell_late_uevents();
  // What was written, in order: "drivers_probe 0000:01:10.0".
  std::vector<std::string> writes() const;

  // Where uevents go, called from any thread; cleared before what it captures dies.
  void set_listener(std::function<void(host::Uevent)> listener);

  // --- KernelFiles
  Result<void> write(const std::filesystem::path& file, const std::string& text) override;
  Result<std::string> read(const std::filesystem::path& file, std::size_t most) override;
  Result<void> try_open(const std::filesystem::path& file) override;

  const TestFolder root{"kernel"};

 private:
  using Lock = std::unique_lock<std::mutex>;
  struct Entry {
    Device device;
    std::filesystem::path place;  // in /sys/devices
    bool is_dirty = false;
    bool is_dead = false;
    bool dies_at_reset = false;
    std::optional<host::PciAddress> physical;
  };
  struct Slot {
    host::PciAddress bridge;
    std::optional<Device> device;
  };

  Result<void> admit(Lock& lock, const std::filesystem::path& file, const char* doing);
  Result<void> write_attribute(Lock& lock, Entry& entry, const std::string& name, const std::string& text,
                               const std::filesystem::path& file);
  Result<void> set_numvfs(Lock& lock, Entry& pf, const std::string& text, const std::filesystem::path& file);
  void destroy_vfs(Lock& lock, host::PciAddress pf);
  Result<void> reset(Entry& entry, const std::filesystem::path& file);
  Result<void> unbind(Lock& lock, host::PciAddress address);
  void probe(Entry& entry);
  void set_driver(Entry& entry, const std::string& name);
  void insert(const Device& device, std::optional<host::PciAddress> physical);
  void remove(Lock& lock, host::PciAddress address);
  void set_power(Lock& lock, Slot& slot, const std::string& text);
  void write_config(const Entry& entry);
  void begin_boot();
  void restart(Lock& lock, Entry& entry);
  void tell(host::Uevent::Action action, host::PciAddress address);
  std::filesystem::path link_of(host::PciAddress address) const;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<host::PciAddress, Entry> entries_;
  std::map<std::string, Slot> slots_;
  std::set<unsigned> open_groups_;
  std::set<std::string> hanging_;
  std::map<std::string, int> refused_;
  std::size_t hanging_count_ = 0;
  bool probes_bind_ = true;
  unsigned boots_ = 0;
  std::uint8_t first_vf_device_ = kFirstVfDevice;
  Uevents uevents_ = Uevents::kTold;
  std::vector<host::Uevent> late_;
  std::vector<std::string> writes_;
  std::function<void(host::Uevent)> listener_;
};

}  // namespace berth::testing
