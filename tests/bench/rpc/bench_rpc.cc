// Compares rpc/ with Debian's grpc++ (callback API): the same method, the same client, mutual TLS 1.3,
// in one run. bench_rpc [--json] [--quick] [CERTIFICATES]
//
// The server has core 0, the client core 1. CPU is the server's alone. The client is our channel for both,
// because the servers are compared, and no client of grpc++ takes what either of them can stream. Every
// figure is the median of several runs that alternate between the two servers; a ratio (ours / grpc++) is
// the median of the ratios of neighbouring runs, which have seen the same noise. As root it goes before the
// other work of the machine.
//
// For a profiler: bench_rpc --serve ours|grpc CERTIFICATES, which prints its port, and
// bench_rpc --load PORT CONNECTIONS STREAMS SECONDS CERTIFICATES or
// bench_rpc --read PORT MESSAGES CERTIFICATES beside it.
#include "tests/bench/rpc/load.h"
#include "tests/bench/rpc/server_process.h"
#include "tests/bench/rpc/servers.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <sys/resource.h>
#include <vector>

#include <fmt/format.h>

namespace berth::bench {
namespace {

constexpr std::array<const char*, 2> kServers = {"ours", "grpc"};
using Samples =
    std::map<std::string, std::map<std::string, std::vector<double>>>;  // figure -> server -> runs

struct Shape {
  int connections;
  int streams;
  std::string name() const { return fmt::format("{}x{}", connections, streams); }
};
constexpr std::array kShapes = {Shape{1, 1}, Shape{1, 10}, Shape{10, 10}, Shape{100, 10}};

struct Options {
  bool is_json = false;
  int runs = 5;
  double seconds = 1.5;
  std::string certificates = BERTH_TEST_CERTIFICATES;
};

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

double percentile(const std::vector<double>& sorted, double part) {
  return sorted.empty() ? 0 : sorted[static_cast<std::size_t>(part * static_cast<double>(sorted.size() - 1))];
}

void progress(const std::string& what) {
  std::fprintf(stderr, "bench_rpc: %s\n", what.c_str());
}

void measure_unary(const Options& options, Samples& samples) {
  for (const Shape& shape : kShapes) {
    progress("unary " + shape.name());
    const auto add = [&](const std::string& figure, const std::string& server, double value) {
      samples[figure + "_" + shape.name()][server].push_back(value);
    };
    for (int i = 0; i < options.runs; ++i) {
      for (const std::string server : kServers) {
        const ServerProcess process(server, options.certificates);
        const Target target{.port = process.port(), .certificates = options.certificates};
        (void)run_unary(target, shape.connections, shape.streams, 0.2);
        const double before = process.cpu_seconds();
        const auto load = run_unary(target, shape.connections, shape.streams, options.seconds);
        const double cpu = process.cpu_seconds() - before;
        const auto calls = static_cast<double>(load.calls);
        add("cpu_us_per_call", server, cpu * 1e6 / calls);
        add("calls_per_s", server, calls / load.seconds);
        add("p50_us", server, percentile(load.latencies_us, 0.5));
        add("p99_us", server, percentile(load.latencies_us, 0.99));
      }
    }
  }
}

void measure_stream(const Options& options, Samples& samples) {
  progress("server stream");
  for (int i = 0; i < options.runs; ++i) {
    for (const std::string server : kServers) {
      const ServerProcess process(server, options.certificates);
      const Target target{.port = process.port(), .certificates = options.certificates};
      const double before = process.cpu_seconds();
      const auto load = run_stream(target, server == "ours" ? 3'000'000 : 200'000);  // about a second
      const auto messages = static_cast<double>(load.messages);
      samples["stream_messages_per_s"][server].push_back(messages / load.seconds);
      samples["stream_cpu_us_per_message"][server].push_back((process.cpu_seconds() - before) * 1e6 /
                                                             messages);
    }
  }
}

void measure_memory(const Options& options, Samples& samples) {
  progress("memory");
  for (const std::string server : kServers) {
    const ServerProcess process(server, options.certificates);
    const Target target{.port = process.port(), .certificates = options.certificates};
    (void)run_unary(target, 1, 10, 0.3);
    const double before = process.resident_kb();
    const Holder connections(target, 1000, 0);
    samples["idle_connection_kb"][server].push_back((process.resident_kb() - before) / 1000);
  }
  for (const std::string server : kServers) {
    const ServerProcess process(server, options.certificates);
    const Target target{.port = process.port(), .certificates = options.certificates};
    const Holder without(target, 30, 0);
    const double before = process.resident_kb();
    const Holder with(target, 30, 99);
    const double connections_kb = 30 * samples["idle_connection_kb"][server].front();
    samples["open_stream_kb"][server].push_back((process.resident_kb() - before - connections_kb) /
                                                (30 * 99));
  }
}

double ratio(const Samples& samples, const std::string& figure) {
  const auto& by_server = samples.at(figure);
  std::vector<double> ratios;
  for (std::size_t i = 0; i < by_server.at("ours").size(); ++i) {
    ratios.push_back(by_server.at("ours")[i] / by_server.at("grpc")[i]);
  }
  return median(std::move(ratios));
}

void print(const Samples& samples, bool is_json) {
  if (!is_json) {
    for (const auto& [figure, by_server] : samples) {
      std::printf("%-28s ours %12.2f   grpc++ %12.2f   ratio %6.2f\n", figure.c_str(),
                  median(by_server.at("ours")), median(by_server.at("grpc")), ratio(samples, figure));
    }
    return;
  }
  std::string text = fmt::format(
      R"({{"cpu_ratio_10x10":{:.3f},"cpu_ratio_1x1":{:.3f},"stream_ratio":{:.2f},"idle_kb_ratio":{:.3f})",
      ratio(samples, "cpu_us_per_call_10x10"), ratio(samples, "cpu_us_per_call_1x1"),
      ratio(samples, "stream_messages_per_s"), ratio(samples, "idle_connection_kb"));
  for (const auto& [figure, by_server] : samples) {
    text += fmt::format(R"(,"{}":{{"ours":{:.2f},"grpc":{:.2f}}})", figure, median(by_server.at("ours")),
                        median(by_server.at("grpc")));
  }
  std::printf("%s}\n", text.c_str());
}

int run(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--serve" && i + 2 < argc) {
      const std::string certificates = argv[i + 2];
      const ServerFiles files{.certificate = certificates + "/server.crt",
                              .private_key = certificates + "/server.key",
                              .trusted_ca = certificates + "/ca.crt"};
      return std::strcmp(argv[i + 1], "ours") == 0 ? serve_ours(files) : serve_grpc(files);
    }
    if (argument == "--load" && i + 5 < argc) {
      const Target target{.port = static_cast<std::uint16_t>(std::atoi(argv[i + 1])),
                          .certificates = argv[i + 5]};
      const auto load =
          run_unary(target, std::atoi(argv[i + 2]), std::atoi(argv[i + 3]), std::atof(argv[i + 4]));
      std::printf("%.0f calls/s\n", static_cast<double>(load.calls) / load.seconds);
      return 0;
    }
    if (argument == "--read" && i + 3 < argc) {
      const Target target{.port = static_cast<std::uint16_t>(std::atoi(argv[i + 1])),
                          .certificates = argv[i + 3]};
      const auto load = run_stream(target, static_cast<std::uint32_t>(std::atoi(argv[i + 2])));
      std::printf("%.0f messages/s\n", static_cast<double>(load.messages) / load.seconds);
      return 0;
    }
    if (argument == "--json") {
      options.is_json = true;
    } else if (argument == "--quick") {
      options.runs = 1;
      options.seconds = 0.5;
    } else {
      options.certificates = argument;
    }
  }
  const RaisedPriority raised;
  pin_to_core(1);
  Samples samples;
  measure_unary(options, samples);
  measure_stream(options, samples);
  measure_memory(options, samples);
  print(samples, options.is_json);
  return 0;
}

}  // namespace
}  // namespace berth::bench

int main(int argc, char** argv) {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  return berth::bench::run(argc, argv);
}
