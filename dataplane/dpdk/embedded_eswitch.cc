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

constexpr const char* kProxy = "net_berth0";
// Shorter than a scheduler's tick, long enough to leave the core to others.
constexpr unsigned kIdleNapMicroseconds = 50;
// The software eSwitch has 4096 meters, as a NIC would; more only beside functions that a NIC would not have.
constexpr unsigned kMeters = 4096;
constexpr unsigned kMetersPerFunction = 3;  // Meter::Use

EalOptions make_eal_options(const SoftEswitchOptions& options) {
  EalOptions eal{.use_hugepages = options.use_hugepages};
  const auto add = [&eal](const Backing& backing) {
    eal.vdevs.push_back(backing.arguments.empty() ? backing.name
                                                  : fmt::format("{},{}", backing.name, backing.arguments));
  };
  add(options.uplink);
  std::string eswitch =
      fmt::format("{},uplink={},idle_nap={}", kProxy, options.uplink.name, kIdleNapMicroseconds);
  for (const Backing& function : options.functions) {
    add(function);
    eswitch += fmt::format(",function={}", function.name);
  }
  if (options.unbacked_functions != 0) {
    eswitch += fmt::format(",unbacked={0},max_meters={1}", options.unbacked_functions,
                           kMeters + kMetersPerFunction * options.unbacked_functions);
  }
  eal.vdevs.push_back(eswitch);  // last: it takes the others over
  return eal;
}

}  // namespace

Backing af_packet_backing(const std::string& netdev) {
  return {"net_af_packet0", fmt::format("iface={}", netdev)};
}

Backing vhost_user_backing(std::size_t index, const std::string& socket) {
  return {fmt::format("net_vhost{}", index), fmt::format("iface={}", socket)};
}

std::filesystem::path function_socket(const std::filesystem::path& socket_dir, std::uint16_t index) {
  return socket_dir / fmt::format("vf{}.sock", index);
}

Result<SoftEswitchOptions> prepare_ports(const UnderlayConfig& underlay, const EswitchConfig& eswitch) {
  std::error_code error;
  std::filesystem::create_directories(eswitch.socket_dir, error);
  if (error) {
    return fail(Code::kFailedPrecondition, "SOCKET_DIR",
                fmt::format("{}: {}", eswitch.socket_dir.string(), error.message()));
  }
  SoftEswitchOptions options{.uplink = af_packet_backing(underlay.device),
                             .unbacked_functions = eswitch.unbacked_functions,
                             .use_hugepages = eswitch.hugepages,
                             .steering = steering_called(eswitch.steering)};
  for (std::uint16_t i = 0; i < eswitch.functions; ++i) {
    const auto socket = function_socket(eswitch.socket_dir, i);
    std::filesystem::remove(socket, error);
    options.functions.push_back(vhost_user_backing(i, socket.string()));
  }
  return options;
}

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

  Result<void> open(const SoftEswitchOptions& options) {
    return run_on_control([this, &options] { return open_here(options); });
  }

  asio::any_io_executor control() { return control_.get_executor(); }
  Engine& engine() { return *engine_; }
  SlowPath& slow_path() { return *slow_path_; }
  Injector& injector() { return *injector_; }

 private:
  Result<void> open_here(const SoftEswitchOptions& options) {
    const EalOptions eal = make_eal_options(options);
    if (auto started = start_eal(eal); !started) return started;
    eal_started_ = true;
    auto engine = Engine::open(kProxy, static_cast<std::uint16_t>(options.functions.size()),
                               options.unbacked_functions, options.steering);
    if (!engine) return pass(engine);
    engine_.emplace(*std::move(engine));
    auto worker = Worker::start(fmt::format("{}_switch", kProxy));
    if (!worker) return pass(worker);
    worker_ = *std::move(worker);
    auto slow_path = SlowPath::start(engine_->read_ports());
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
  std::unique_ptr<Worker> worker_;
  std::unique_ptr<SlowPath> slow_path_;
  std::optional<Injector> injector_;
};

Result<std::unique_ptr<EmbeddedEswitch>> EmbeddedEswitch::open_soft(const SoftEswitchOptions& options) {
  auto impl = std::make_unique<Impl>();
  if (auto opened = impl->open(options); !opened) return pass(opened, "software eSwitch");
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
