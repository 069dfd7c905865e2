# DPDK as targets.
#   DPDK::dpdk    the public API: headers as system headers, the shared libraries of Debian.
#   DPDK::driver  for PMDs only: also the driver headers that libdpdk-dev leaves out, and the right to
#                 use internal and experimental functions (both exported by Debian's libraries).
# The driver headers are fetched once per DPDK version into a cache of the user's, never committed.
add_library(DPDK::dpdk INTERFACE IMPORTED GLOBAL)
target_include_directories(DPDK::dpdk SYSTEM INTERFACE ${DPDK_INCLUDE_DIRS})
# Every unit that includes a DPDK header needs rte_config.h first and SSE4.2 (pkg-config says both).
string(REPLACE "-include;rte_config.h" "SHELL:-include rte_config.h" dpdk_options "${DPDK_CFLAGS_OTHER}")
target_compile_options(DPDK::dpdk INTERFACE ${dpdk_options})
target_compile_definitions(DPDK::dpdk INTERFACE ALLOW_EXPERIMENTAL_API
  # Under the thread sanitizer rings must use atomics it can see, instead of x86 barriers.
  $<$<STREQUAL:${BERTH_SANITIZE},thread>:RTE_USE_C11_MEM_MODEL>)
target_link_libraries(DPDK::dpdk INTERFACE ${DPDK_LINK_LIBRARIES})

find_library(BERTH_DPDK_BUS_VDEV rte_bus_vdev REQUIRED HINTS ${DPDK_LIBDIR} ${DPDK_LIBRARY_DIRS})

if(DEFINED ENV{XDG_CACHE_HOME})
  set(dpdk_cache $ENV{XDG_CACHE_HOME})
elseif(DEFINED ENV{HOME})
  set(dpdk_cache $ENV{HOME}/.cache)
else()
  set(dpdk_cache ${CMAKE_BINARY_DIR})
endif()
set(BERTH_DPDK_DRIVER_HEADERS ${dpdk_cache}/berth/dpdk-driver-${DPDK_VERSION}
  CACHE PATH "Where the DPDK driver headers are (fetched when missing)")
execute_process(
  COMMAND ${CMAKE_SOURCE_DIR}/cmake/fetch-dpdk-driver-headers ${BERTH_DPDK_DRIVER_HEADERS}
  RESULT_VARIABLE dpdk_headers_failed)
if(dpdk_headers_failed)
  message(FATAL_ERROR "The DPDK driver headers are missing; the lines above say why and what to do.")
endif()

add_library(DPDK::driver INTERFACE IMPORTED GLOBAL)
target_include_directories(DPDK::driver SYSTEM INTERFACE ${BERTH_DPDK_DRIVER_HEADERS})
target_compile_definitions(DPDK::driver INTERFACE ALLOW_INTERNAL_API)
target_link_libraries(DPDK::driver INTERFACE DPDK::dpdk ${BERTH_DPDK_BUS_VDEV})
