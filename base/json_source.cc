// Boost.JSON, compiled once for the whole tree: everybody else includes <boost/json.hpp>.
#include <boost/json/src.hpp>
