#include "host/qemu/vm_tree.h"

#include "host/qemu/vm_monitor.h"

#include <gtest/gtest.h>

namespace berth::host::qemu {
namespace {

namespace json = boost::json;

// As QEMU 10.0.2 answers for a device behind a switch behind an expander bus, shortened.
constexpr const char* kPci = R"([
  {"bus": 80, "devices": [
    {"bus": 80, "qdev_id": "rp3", "pci_bridge": {"bus": {"secondary": 81, "number": 80}, "devices": [
      {"bus": 81, "qdev_id": "up1", "pci_bridge": {"bus": {"secondary": 82}, "devices": [
        {"bus": 82, "qdev_id": "dn1", "pci_bridge": {"bus": {"secondary": 83}, "devices": [
          {"bus": 83, "qdev_id": "cold", "slot": 0}]}},
        {"bus": 82, "qdev_id": "dn2", "pci_bridge": {"bus": {"secondary": 84}}}]}}]}}]},
  {"bus": 0, "devices": [
    {"bus": 0, "qdev_id": "", "slot": 0},
    {"bus": 0, "qdev_id": "rp1", "pci_bridge": {"bus": {"secondary": 0, "number": 0}}}]}])";

TEST(LookFor, FindsDevicesBehindSwitches) {
  const json::value pci = json::parse(kPci);
  EXPECT_EQ(look_for(pci, "cold", "dn1"), PciSight::kSeen);
  EXPECT_EQ(look_for(pci, "cold", "dn2"), PciSight::kMissing);
  EXPECT_EQ(look_for(pci, "cold", "rp3"), PciSight::kMissing);
  EXPECT_EQ(look_for(pci, "cold", "rp1"), PciSight::kNotNumbered);
  EXPECT_EQ(look_for(pci, "cold", "behind-rp1"), PciSight::kNotNumbered);
}

TEST(LookFor, SurvivesAnythingThatIsJson) {
  for (const char* text : {"7", "[]", "[7]", "[{}]", R"([{"devices": 1}])", R"([{"devices": [null]}])",
                           R"([{"devices": [{"pci_bridge": 3, "qdev_id": []}]}])",
                           R"([{"devices": [{"pci_bridge": {}, "qdev_id": "rp1"}]}])"}) {
    EXPECT_NE(look_for(json::parse(text), "x", "rp1"), PciSight::kSeen) << text;
  }
}

TEST(ParseQomList, ReadsWhatItIs) {
  const auto items = parse_qom_list(json::parse(
      R"([{"name": "type", "type": "string"}, {"name": "rp1", "type": "child<pcie-root-port>"}])"));
  ASSERT_TRUE(items);
  EXPECT_FALSE(child_type(items->at(0)));
  EXPECT_EQ(child_type(items->at(1)), "pcie-root-port");
  for (const char* text : {"{}", "[7]", "[{}]", R"([{"name": "x"}])", R"([{"name": 1, "type": "string"}])"})
    EXPECT_EQ(parse_qom_list(json::parse(text)).error().reason, "QMP_MALFORMED") << text;
}

TEST(IsBefore, CountsAsPeopleDo) {
  const std::vector<std::string> ordered = {"",    "a",   "pci.2", "pci.10", "rp",
                                            "rp1", "rp2", "rp10",  "rp10a",  "s"};
  for (std::size_t i = 0; i < ordered.size(); ++i) {
    for (std::size_t j = 0; j < ordered.size(); ++j)
      EXPECT_EQ(is_before(ordered[i], ordered[j]), i < j) << ordered[i] << " " << ordered[j];
  }
}

TEST(MonitorPath, PutsTheVmInItsPlace) {
  EXPECT_EQ(monitor_path("/run/vm/{vm}/qmp.sock", VmId::trusted("vm-7")), "/run/vm/vm-7/qmp.sock");
}

TEST(MonitorPath, NoVmLeavesTheFolder) {
  for (const char* id : {"../../etc/x", "..", ".", "a/b", "", "/abs"}) {
    const auto path = monitor_path("/run/vm/{vm}.sock", VmId::trusted(id));
    ASSERT_FALSE(path) << id;
    EXPECT_EQ(path.error().reason, "MALFORMED_ID") << id;
  }
}

TEST(MonitorPath, BadPatternsAreNamed) {
  const auto vm = VmId::trusted("vm-7");
  for (const char* pattern : {"run/{vm}.sock", "/run/qmp.sock", "/run/{vm}/{vm}.sock", ""})
    EXPECT_EQ(monitor_path(pattern, vm).error().reason, "BAD_MONITOR_PATTERN") << pattern;
  EXPECT_TRUE(monitor_path("/" + std::string(102, 'a') + "{vm}", vm));
  EXPECT_EQ(monitor_path("/" + std::string(103, 'a') + "{vm}", vm).error().reason, "MONITOR_PATH_TOO_LONG");
}

}  // namespace
}  // namespace berth::host::qemu
