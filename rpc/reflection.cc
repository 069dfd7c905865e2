#include "rpc/reflection.h"

#include "grpc/reflection/v1/reflection.pb.h"
#include "grpc/reflection/v1alpha/reflection.pb.h"

#include <set>
#include <string>

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>

namespace berth::rpc {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::FileDescriptor;

void add_with_dependencies(const FileDescriptor* file, std::set<const FileDescriptor*>& files) {
  if (!files.insert(file).second) return;
  for (int i = 0; i < file->dependency_count(); ++i) add_with_dependencies(file->dependency(i), files);
}

// Both versions of the service have the same messages under other names; Request and Response say
// which.
template <typename Request, typename Response>
class Reflector {
 public:
  explicit Reflector(Server& server) : server_(server) {}

  Response answer(const Request& request) const {
    Response response;
    response.set_valid_host(request.host());
    *response.mutable_original_request() = request;
    const auto* pool = DescriptorPool::generated_pool();
    switch (request.message_request_case()) {
      case Request::kListServices:
        for (const auto& name : server_.services()) {
          response.mutable_list_services_response()->add_service()->set_name(name);
        }
        break;
      case Request::kFileByFilename:
        set_file(response, pool->FindFileByName(request.file_by_filename()));
        break;
      case Request::kFileContainingSymbol:
        set_file(response, pool->FindFileContainingSymbol(request.file_containing_symbol()));
        break;
      case Request::kFileContainingExtension: {
        const auto& wanted = request.file_containing_extension();
        const auto* type = pool->FindMessageTypeByName(wanted.containing_type());
        const auto* field =
            type == nullptr ? nullptr : pool->FindExtensionByNumber(type, wanted.extension_number());
        set_file(response, field == nullptr ? nullptr : field->file());
        break;
      }
      case Request::kAllExtensionNumbersOfType:
        set_extensions(response, request.all_extension_numbers_of_type());
        break;
      default:
        set_error(response, Code::kInvalidArgument, "the request asks for nothing");
    }
    return response;
  }

 private:
  static void set_error(Response& response, Code code, std::string message) {
    response.mutable_error_response()->set_error_code(static_cast<int>(code));
    response.mutable_error_response()->set_error_message(std::move(message));
  }

  static void set_file(Response& response, const FileDescriptor* file) {
    if (file == nullptr) return set_error(response, Code::kNotFound, "not found");
    std::set<const FileDescriptor*> files;
    add_with_dependencies(file, files);
    for (const auto* each : files) {
      google::protobuf::FileDescriptorProto proto;
      each->CopyTo(&proto);
      proto.SerializeToString(response.mutable_file_descriptor_response()->add_file_descriptor_proto());
    }
  }

  static void set_extensions(Response& response, const std::string& name) {
    const auto* pool = DescriptorPool::generated_pool();
    const auto* type = pool->FindMessageTypeByName(name);
    if (type == nullptr) return set_error(response, Code::kNotFound, "not found");
    response.mutable_all_extension_numbers_response()->set_base_type_name(name);
    std::vector<const google::protobuf::FieldDescriptor*> extensions;
    pool->FindAllExtensions(type, &extensions);
    for (const auto* extension : extensions) {
      response.mutable_all_extension_numbers_response()->add_extension_number(extension->number());
    }
  }

  Server& server_;
};

template <typename Request, typename Response>
Task<void> reflect(Server& server, Reader<Request> requests, Writer<Response> responses) {
  const Reflector<Request, Response> reflector(server);
  while (true) {
    const auto request = co_await requests.read();
    if (!request) co_return pass(request);
    if (!*request) co_return Result<void>();
    const auto written = co_await responses.write(reflector.answer(**request));
    if (!written) co_return pass(written);
  }
}

template <typename Request, typename Response>
void add_version(Server& server, std::string_view method) {
  server.bidi<Request, Response>(
      method, [&server](Context, Reader<Request> requests, Writer<Response> responses) {
        return reflect<Request, Response>(server, std::move(requests), std::move(responses));
      });
}

}  // namespace

void add_reflection(Server& server) {
  namespace v1 = grpc::reflection::v1;
  namespace v1alpha = grpc::reflection::v1alpha;
  add_version<v1::ServerReflectionRequest, v1::ServerReflectionResponse>(
      server, "grpc.reflection.v1.ServerReflection/ServerReflectionInfo");
  add_version<v1alpha::ServerReflectionRequest, v1alpha::ServerReflectionResponse>(
      server, "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo");
}

}  // namespace berth::rpc
