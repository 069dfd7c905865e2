#include "dataplane/dpdk/embedded_eswitch.h"

#include "base/offload.h"
#include "dataplane/dpdk/eal.h"
#include "dataplane/dpdk/engine.h"
#include "dataplane/dpdk/injector.h"
#include "dataplane/dpdk/slow_path.h"
#include "dataplane/dpdk/worker.h"

#include <future>
#include <optional>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <fmt/format.h>

namespace berth::dataplane::dpdk {
namespace {

// The software eSwitch's worker is a service of DPDK's by this name; a NIC has none.
std::string worker_service() {
  return fmt::format("{}_switch", kSoftProxy);
}

std::unexpected<Error> not_probed(const std::string& pci) {
  return fail(
      Code::kNotFound, "NIC_NOT_PROBED",
      fmt::format("DPDK made no port of {}; what its driver mlx5 says is above. Is ib_uverbs loaded, is "
                  "there memory in hugepages, does another process have the device?",
                  pci));
}

}  // namespace

class EmbeddedEswitch::Impl {
 public:
  ~Impl() {
    run_on_control([this] {
      slow_path_.reset();
      worker_.reset();
      if (engine_) engine_->close();
      if (eal_started_) stop_eal();
      return 0;
    });
    control_.join();
  }

  Result<void> open_soft(const SoftEswitchOptions& options) {
    return run_on_control([this, &options] { return open_soft_here(options); });
  }
  Result<void> open_nic(const NicEswitchOptions& options) {
    return run_on_control([this, &options] { return open_nic_here(options); });
  }

  asio::any_io_executor control() { return control_.get_executor(); }
  Engine& engine() { return *engine_; }
  SlowPath& slow_path() { return *slow_path_; }
  Injector& injector() { return *injector_; }

 private:
  Result<void> open_soft_here(const SoftEswitchOptions& options) {
    if (auto started = start(eal_options(options)); !started) return started;
    auto engine = Engine::open(kSoftProxy, static_cast<std::uint16_t>(options.functions.size()),
                               options.unbacked_functions, options.steering);
    if (!engine) return pass(engine);
    engine_.emplace(*std::move(engine));
    auto worker = Worker::start(worker_service());
    if (!worker) return pass(worker);
    worker_ = *std::move(worker);
    return serve(MtuOf::kPort);
  }

  Result<void> open_nic_here(const NicEswitchOptions& options) {
    if (auto started = start(eal_options(options)); !started) return started;
    if (!has_ethdev(proxy_of(options))) return not_probed(options.pci);
    auto engine = Engine::open(proxy_of(options), options.functions, 0, options.steering);
    if (!engine) return pass(engine);
    engine_.emplace(*std::move(engine));
    return serve(MtuOf::kWire);
  }

  Result<void> start(const EalOptions& options) {
    auto started = start_eal(options);
    eal_started_ = started.has_value();
    return started;
  }

  // What stands on the ports, whosever they are.
  Result<void> serve(MtuOf mtu) {
    auto slow_path = SlowPath::start(engine_->read_ports(), mtu);
    if (!slow_path) return pass(slow_path);
    slow_path_ = *std::move(slow_path);
    auto injector = Injector::make(engine_->read_ports());
    if (!injector) return pass(injector);
    injector_.emplace(*std::move(injector));
    return {};
  }

  template <typename Function>
  std::invoke_result_t<Function> run_on_control(Function function) {
    std::packaged_task<std::invoke_result_t<Function>()> task(std::move(function));
    auto outcome = task.get_future();
    asio::post(control_, std::move(task));
    return outcome.get();
  }

  asio::thread_pool control_{1};  // one thread owns rte_flow
  bool eal_started_ = false;
  std::optional<Engine> engine_;
  std::unique_ptr<Worker> worker_;  // of the software eSwitch
  std::unique_ptr<SlowPath> slow_path_;
  std::optional<Injector> injector_;
};

Result<std::unique_ptr<EmbeddedEswitch>> EmbeddedEswitch::open_soft(const SoftEswitchOptions& options) {
  auto impl = std::make_unique<Impl>();
  if (auto opened = impl->open_soft(options); !opened) return pass(opened, "software eSwitch");
  return std::unique_ptr<EmbeddedEswitch>(new EmbeddedEswitch(std::move(impl)));
}

Result<std::unique_ptr<EmbeddedEswitch>> EmbeddedEswitch::open_nic(const NicEswitchOptions& options) {
  auto impl = std::make_unique<Impl>();
  if (auto opened = impl->open_nic(options); !opened) return pass(opened, "eSwitch of " + options.pci);
  return std::unique_ptr<EmbeddedEswitch>(new EmbeddedEswitch(std::move(impl)));
}

EmbeddedEswitch::EmbeddedEswitch(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
EmbeddedEswitch::~EmbeddedEswitch() = default;

Task<std::vector<Result<void>>> EmbeddedEswitch::apply(std::vector<RuleChange> changes) {
  co_return co_await offload(impl_->control(), [impl = impl_.get(), changes = std::move(changes)] {
    std::vector<Result<void>> outcomes;
    outcomes.reserve(changes.size());
    for (const RuleChange& change : changes) outcomes.push_back(impl->engine().rules().apply(change));
    return Result<std::vector<Result<void>>>(std::move(outcomes));
  });
}

Task<std::vector<HeldRule>> EmbeddedEswitch::read_rules(RuleFilter which) {
  co_return co_await offload(impl_->control(), [impl = impl_.get(), which = std::move(which)] {
    return impl->engine().rules().read(which);
  });
}

Task<std::vector<RuleDigest>> EmbeddedEswitch::read_digests() {
  co_return co_await offload(impl_->control(), [impl = impl_.get()] {
    return Result<std::vector<RuleDigest>>(impl->engine().rules().digests());
  });
}

Task<std::vector<PortState>> EmbeddedEswitch::read_ports() {
  co_return co_await offload(impl_->control(), [impl = impl_.get()] {
    return Result<std::vector<PortState>>(impl->engine().read_ports());
  });
}

// These take the slow path's lock, not the control thread: a long batch of rules holds no VM's configuration
// up.
Task<void> EmbeddedEswitch::set_answers(EswitchPort port, std::optional<PortAnswers> answers) {
  co_return impl_->slow_path().set_answers(port, std::move(answers));
}

Task<std::vector<SlowPathState>> EmbeddedEswitch::read_slow_path(std::optional<EswitchPort> port) {
  if (!port) co_return impl_->slow_path().read();
  auto state = impl_->slow_path().read(*port);
  if (!state) co_return pass(state);
  co_return std::vector{*std::move(state)};
}

// From here: the driver takes packets from any thread.
Task<void> EmbeddedEswitch::inject(std::vector<InjectedFrame> frames) {
  co_return impl_->injector().inject(frames);
}

}  // namespace berth::dataplane::dpdk
