#include "host/pci/uevent.h"

#include "host/pci/pci_events.h"
#include "tests/fakes/run_task.h"

#include <boost/asio/post.hpp>
#include <gtest/gtest.h>

namespace berth::host {
namespace {

using std::chrono::milliseconds;

std::string lines(std::initializer_list<std::string> all) {
  std::string text;
  for (const auto& line : all) text += line + '\0';
  return text;
}

TEST(Uevent, OfAPciFunctionIsRead) {
  const auto event =
      parse_uevent(lines({"bind@/devices/pci0000:00/0000:01:10.2", "ACTION=bind", "SUBSYSTEM=pci",
                          "DRIVER=vfio-pci", "PCI_SLOT_NAME=0000:01:10.2", "SEQNUM=4711"}));
  ASSERT_TRUE(event) << event.error().message;
  EXPECT_EQ(event->action, Uevent::Action::kBind);
  EXPECT_EQ(event->function->str(), "0000:01:10.2");
  EXPECT_EQ(event->number, 4711U);
}

TEST(Uevent, OfAnythingElseNamesNoFunction) {
  const auto event =
      parse_uevent(lines({"add@/devices/x", "SUBSYSTEM=net", "PCI_SLOT_NAME=0000:01:10.2", "SEQNUM=1"}));
  ASSERT_TRUE(event);
  EXPECT_FALSE(event->function);
}

TEST(Uevent, WhatTheKernelDoesNotWriteIsMalformed) {
  for (const std::string& text :
       {std::string(), std::string("libudev\0\xfe\xed", 10), lines({"@/devices/x"}), lines({"add@devices"}),
        lines({"add@/x", "novalue"}), lines({"add@/x", "SEQNUM=1x"}), lines({"add@/x", "ACTION=remove"}),
        lines({"add@/x", "SUBSYSTEM=pci", "PCI_SLOT_NAME=../0"})}) {
    const auto event = parse_uevent(text);
    ASSERT_FALSE(event) << text;
    EXPECT_EQ(event.error().reason, "MALFORMED_UEVENT");
  }
}

class PciEventsTest : public ::testing::Test {
 protected:
  Result<void> wait(std::function<bool()> is_so, milliseconds deadline) {
    return testing::run_until_done(io, events.wait_until(std::move(is_so), deadline));
  }
  const PciAddress kVf = PciAddress::parse("vf", "0000:01:10.0").value();
  asio::io_context io;
  PciEvents events{io.get_executor(), std::chrono::hours(1)};  // no help from the clock
};

TEST_F(PciEventsTest, AUeventMakesEverybodyLookAgain) {
  bool is_there = false;
  asio::post(io, [&] {
    is_there = true;
    events.take({.action = Uevent::Action::kAdd, .function = kVf});
  });
  const auto since = events.now();
  EXPECT_TRUE(wait([&] { return is_there; }, std::chrono::hours(2)));
  EXPECT_TRUE(events.has_heard(since, Uevent::Action::kAdd, kVf));
  EXPECT_FALSE(events.has_heard(since, Uevent::Action::kRemove, kVf));
  EXPECT_FALSE(events.has_heard(events.now(), Uevent::Action::kAdd, kVf)) << "that was before";
}

TEST_F(PciEventsTest, AfterAnOverrunEverybodyLooksAgain) {
  bool is_there = false;
  asio::post(io, [&] {
    is_there = true;
    events.take_overrun();
  });
  EXPECT_TRUE(wait([&] { return is_there; }, std::chrono::hours(2)));
}

TEST(PciEvents, ALostUeventIsSurvivedByTheClock) {
  asio::io_context io;
  PciEvents events(io.get_executor(), milliseconds(1));
  int asked = 0;
  EXPECT_TRUE(
      testing::run_until_done(io, events.wait_until([&] { return ++asked == 5; }, std::chrono::hours(1))));
}

TEST_F(PciEventsTest, WhatDoesNotComeTrueIsNamed) {
  const auto late = wait([] { return false; }, milliseconds(5));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().reason, "NOT_SEEN_IN_TIME");
}

}  // namespace
}  // namespace berth::host
