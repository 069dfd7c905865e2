// QEMU takes a planned topology, and its firmware numbers every bus of it.
#include "host/topology/plan.h"

#include "host/qemu/vm_tree.h"
#include "tests/fakes/run_task.h"
#include "tests/fakes/sysfs_tree.h"
#include "tests/fakes/test_folder.h"
#include "tests/interop/qemu/qemu_process.h"

#include <gtest/gtest.h>

namespace berth::testing {
namespace {

using namespace std::chrono_literals;
using namespace host::topology;
using host::qemu::PciSight;
using host::qemu::QmpConnection;

host::PciAddress pci(std::string_view text) {
  return host::PciAddress::parse("pci", text).value();
}

// Everything but the functions, which this host does not have.
std::vector<std::string> without_functions(const std::vector<std::string>& arguments) {
  std::vector<std::string> left;
  for (std::size_t i = 0; i + 1 < arguments.size(); i += 2) {
    if (arguments[i + 1].starts_with("vfio-pci")) continue;
    left.insert(left.end(), {arguments[i], arguments[i + 1]});
  }
  return left;
}

std::vector<std::string> ports_of(const Plan& plan) {
  std::vector<std::string> ids;
  for (const PlannedRoot& root : plan.roots) {
    for (const PlannedPort& port : root.ports) ids.push_back(port.id);
    for (const PlannedSwitch& planned : root.switches) {
      for (const PlannedPort& port : planned.ports) ids.push_back(port.id);
    }
  }
  return ids;
}

TEST(RealQemuPlan, EveryPortOfThePlanIsNumberedByTheFirmware) {
  const SysfsTree tree(std::string(BERTH_TOPOLOGY_TREES) + "/hgx.tree");
  const auto topology = read_topology(tree.root()).value();
  const std::vector<host::PciAddress> devices = {pci("0000:18:00.0"), pci("0000:19:00.2"),
                                                 pci("0000:1a:00.0"), pci("0000:9a:00.0"),
                                                 pci("0000:9b:00.0"), pci("0000:02:00.0")};
  const auto plan = plan_virtual_topology(topology, devices, 4).value();
  std::vector<std::string> arguments = {"-m",      "128",
                                        "-object", "memory-backend-ram,id=m0,size=64M",
                                        "-object", "memory-backend-ram,id=m1,size=64M",
                                        "-numa",   "node,nodeid=0,memdev=m0",
                                        "-numa",   "node,nodeid=1,memdev=m1"};
  const auto planned = without_functions(format_plan(plan).qemu);
  arguments.insert(arguments.end(), planned.begin(), planned.end());
  const TestFolder folder("plan");
  const std::filesystem::path monitor = folder / "qmp.sock";
  QemuProcess qemu(monitor, arguments);

  asio::io_context io;
  TaskGroup readers(io.get_executor());
  std::string missing;
  const auto look = [&]() -> asio::awaitable<void> {
    auto connection = co_await QmpConnection::open(readers, io.get_executor(), monitor, 5s);
    if (!connection) co_return void(missing = connection.error().message);
    (void)co_await (*connection)->execute("cont", {}, 5s);
    for (int i = 0; i < 150; ++i) {
      const auto pci = co_await (*connection)->execute("query-pci", {}, 5s);
      if (!pci) co_return void(missing = pci.error().message);
      missing.clear();
      for (const std::string& port : ports_of(plan)) {
        // Its bus has a number, and nothing is behind it.
        if (host::qemu::look_for(*pci, "nothing", port) != PciSight::kMissing) missing += port + " ";
      }
      if (missing.empty()) co_return;
      (void)co_await sleep_for(100ms);
    }
  };
  run_until_done(io, look());
  run_until_done(io, readers.join());
  EXPECT_EQ(ports_of(plan).size(), 10U);
  EXPECT_EQ(missing, "");
  qemu.kill();
}

}  // namespace
}  // namespace berth::testing
