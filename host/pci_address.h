// The address of a PCI function: a word that configuration files share with this folder.
#pragma once

#include "base/pci_address.h"

namespace berth::host {
using berth::PciAddress;
}  // namespace berth::host
