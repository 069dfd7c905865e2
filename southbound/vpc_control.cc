#include "southbound/vpc_control.h"

#include "base/async_mutex.h"
#include "base/log.h"

namespace berth::southbound {
namespace {

v1::AgentMessage to_message(const agent::EndpointEvent& event, const IpAddress& vtep) {
  v1::AgentMessage message;
  v1::EndpointEvent& endpoint = *message.mutable_endpoint_event();
  const bool attached = event.kind == agent::EndpointEvent::Kind::kAttached;
  endpoint.set_kind(attached ? v1::EndpointEvent::ATTACHED : v1::EndpointEvent::DETACHED);
  endpoint.set_vpc(event.interface.vpc.str());
  endpoint.set_vm(event.vm.str());
  for (const IpAddress& ip : event.interface.ips) endpoint.add_ips(ip.str());
  endpoint.set_mac(event.interface.mac.str());
  endpoint.set_vtep(vtep.str());
  return message;
}

// One controller's stream: its two coroutines share the writer.
class Stream {
 public:
  Stream(agent::Agent& agent, Election& election, asio::any_io_executor executor,
         rpc::Reader<v1::ControllerMessage> messages, rpc::Writer<v1::AgentMessage> replies)
      : agent_(agent),
        session_(election),
        messages_(std::move(messages)),
        replies_(std::move(replies)),
        write_mutex_(executor),
        greeted_(executor) {}

  // Messages in, answers out.
  Task<void> serve() {
    while (true) {
      const auto message = co_await messages_.read();
      if (!message) co_return pass(message);
      if (!*message) co_return Result<void>();
      const ControllerSession::Known known{agent_.vpcs().snapshot(), agent_.vpcs().version()};
      const auto step = session_.take(**message, known);
      if (!step) co_return pass(step);
      if (step->push) {
        const auto pushed = co_await push(*step->push);
        if (!pushed) co_return pass(pushed);
      }
      if (step->reply) {
        const auto written = co_await write(*step->reply);
        if (!written) co_return pass(written);
      }
      greeted_.notify_all();
    }
  }

  // The VMs that are here, then every change; only to the primary.
  Task<void> tell_endpoints() {
    while (!session_.is_primary()) {
      const auto woken = co_await greeted_.wait();
      if (!woken) co_return pass(woken);
    }
    std::uint64_t revision = agent_.endpoints().latest_revision();
    for (const agent::Attachment& attachment : agent_.attachments().list()) {
      if (attachment.state != agent::AttachmentState::kAttached) continue;
      for (const agent::Interface& one : attachment.interfaces) {
        const auto written = co_await write(
            to_message({agent::EndpointEvent::Kind::kAttached, attachment.vm, one.intent}, agent_.vtep()));
        if (!written) co_return pass(written);
      }
    }
    while (true) {
      const auto event = co_await agent_.endpoints().next_after(revision);
      if (!event) co_return pass(event);
      ++revision;
      if (!session_.is_primary()) continue;
      const auto written = co_await write(to_message(*event, agent_.vtep()));
      if (!written) co_return pass(written);
    }
  }

 private:
  Task<void> push(agent::VpcPush push) {
    const auto errors = co_await agent_.push_vpcs(push);
    if (!errors) co_return pass(errors);
    log_event(errors->empty() ? LogLevel::kInfo : LogLevel::kWarning,
              errors->empty() ? "push accepted" : "push refused",
              {{"controller", session_.controller()},
               {"version", push.version},
               {"vpcs", push.vpcs->size()},
               {"errors", errors->size()}});
    co_return co_await write(session_.finish_push(push, *errors));
  }

  Task<void> write(v1::AgentMessage message) {
    const auto lock = co_await write_mutex_.lock();
    if (!lock) co_return pass(lock);
    co_return co_await replies_.write(message);
  }

  agent::Agent& agent_;
  ControllerSession session_;
  rpc::Reader<v1::ControllerMessage> messages_;
  rpc::Writer<v1::AgentMessage> replies_;
  AsyncMutex write_mutex_;
  Signal greeted_;
};

}  // namespace

void VpcControl::add_to(rpc::Server& server) {
  server.bidi<v1::ControllerMessage, v1::AgentMessage>(
      "berth.southbound.v1.VpcControl/Sync", [this](rpc::Context, rpc::Reader<v1::ControllerMessage> messages,
                                                    rpc::Writer<v1::AgentMessage> replies) {
        return sync(std::move(messages), std::move(replies));
      });
}

Task<void> VpcControl::sync(rpc::Reader<v1::ControllerMessage> messages,
                            rpc::Writer<v1::AgentMessage> replies) {
  using namespace asio::experimental::awaitable_operators;
  Stream stream(agent_, election_, executor_, std::move(messages), std::move(replies));
  auto ended = co_await (stream.serve() || stream.tell_endpoints());
  co_return ended.index() == 0 ? std::get<0>(std::move(ended)) : std::get<1>(std::move(ended));
}

}  // namespace berth::southbound
