// What the workflows work with. main owns all of it and keeps it alive longer than any workflow.
#pragma once

#include "agent/address_pool.h"
#include "agent/attachment_store.h"
#include "agent/eswitch_budget.h"
#include "agent/operation_store.h"
#include "agent/outbox.h"
#include "agent/prober.h"
#include "agent/reconciler.h"
#include "agent/state_db.h"
#include "agent/turns.h"
#include "agent/vpc_store.h"
#include "host/function_driver.h"
#include "host/function_pool.h"
#include "host/host_devices.h"
#include "host/passthrough.h"

#include <chrono>
#include <string>

namespace berth::agent {

// An interface of a VM came or went: what the controller is told.
struct EndpointEvent {
  enum class Kind : std::uint8_t { kAttached, kDetached };
  Kind kind = Kind::kAttached;
  VmId vm;
  InterfaceIntent interface;
};

struct Services {
  dataplane::Eswitch& eswitch;
  AttachmentStore& attachments;
  VpcStore& vpcs;
  OperationStore& operations;
  Feed<EndpointEvent>& endpoints;
  Reconciler& reconciler;
  host::FunctionPool& functions;
  host::FunctionDriver& driver;
  StateDb& state;
  Turns& turns;
  EswitchBudget& eswitch_budget;
  AddressPool& addresses;
  const Outbox* outbox = nullptr;  // null: nobody is told of completions
  // Of a host that gives VMs its own devices; none: an intent that has some is refused.
  host::Passthrough* passthrough = nullptr;
  const host::HostDevices* devices = nullptr;
  std::uint32_t underlay_mtu_bytes = 0;
  // How long an attach waits for its VPC to become known.
  std::chrono::milliseconds vpc_wait{1000};
  ProbeLimits probe;
  // How long an attach tries again what fails because somebody is not there just now.
  std::chrono::milliseconds patience{0};
};

}  // namespace berth::agent
