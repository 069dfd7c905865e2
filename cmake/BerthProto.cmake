# berth_proto_library(NAME ROOT dir FILES a/b.proto ... [DEPS other_proto_lib]): C++ messages of .proto
# files (services are dispatched by rpc/, so no stubs). `ROOT` is the import root of the files.
function(berth_proto_library name)
  cmake_parse_arguments(ARG "" "ROOT" "FILES;DEPS" ${ARGN})
  set(out ${CMAKE_CURRENT_BINARY_DIR}/gen)
  file(MAKE_DIRECTORY ${out})
  set(import_paths -I${ARG_ROOT})
  foreach(dep ${ARG_DEPS})
    get_target_property(dep_root ${dep} BERTH_PROTO_ROOT)
    list(APPEND import_paths -I${dep_root})
  endforeach()
  set(sources)
  foreach(file ${ARG_FILES})
    string(REGEX REPLACE "\\.proto$" "" stem ${file})
    add_custom_command(
      OUTPUT ${out}/${stem}.pb.cc ${out}/${stem}.pb.h
      COMMAND protobuf::protoc ${import_paths} --cpp_out=${out} ${ARG_ROOT}/${file}
      DEPENDS ${ARG_ROOT}/${file}
      VERBATIM)
    list(APPEND sources ${out}/${stem}.pb.cc)
  endforeach()
  add_library(${name} STATIC ${sources})
  set_target_properties(${name} PROPERTIES BERTH_PROTO_ROOT ${ARG_ROOT})
  target_include_directories(${name} SYSTEM PUBLIC ${out})
  target_link_libraries(${name} PUBLIC protobuf::libprotobuf ${ARG_DEPS})
endfunction()
