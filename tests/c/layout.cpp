// Sizes, offsets, constants with their types, signatures and initialisers, as C++17 sees them.
#include <fuse-promise/fuse-promise.h>

#include <cstddef>
#include <cstdio>
#include <cstring>
#include <type_traits>

#define CONSTANT(name, type, value)                                                                \
    static_assert((name) == (value), #name " has its value");                                      \
    static_assert(std::is_same_v<std::remove_cv_t<decltype(name)>, type>, #name " has its type");
#define STRUCTURE(type, size)                                                                      \
    static_assert(sizeof(type) == (size), #type " has its size");                                  \
    static_assert(std::is_standard_layout_v<type> && std::is_trivial_v<type>);
#define MEMBER(structure, member, type, offset)                                                    \
    static_assert(offsetof(structure, member) == (offset), #structure "." #member);                \
    static_assert(std::is_same_v<decltype(structure::member), type>, #structure "." #member);
#define FUNCTION(name, type)                                                                       \
    static_assert(std::is_same_v<decltype(&name), type>, #name " has its signature");
#include "abi-table.h"

namespace {

constexpr fp_node_attr_t attr = FP_NODE_ATTR_INIT;
static_assert(attr.struct_size == sizeof(attr));

// What a C++ program does: a lambda as callback, handles in a guard of its own.
bool open_and_register(const char *runtime_dir)
{
    fp_context_options_t options = FP_CONTEXT_OPTIONS_INIT;
    options.runtime_dir = runtime_dir;
    fp_context_t *context = nullptr;
    if (fp_context_open(&options, &context) != FP_ERR_INVALID_ARGUMENT || context != nullptr)
        return false;

    fp_provider_ops_t ops = FP_PROVIDER_OPS_INIT(
        [](const fp_read_request_t *, fp_read_response_t *, void *) -> fp_status_t {
            return FP_ERR_IO;
        });
    fp_provider_t *provider = nullptr;
    fp_provider_config_t config = FP_PROVIDER_CONFIG_INIT(ops.read);
    config.event = [](const fp_event_t *, void *) {};
    fp_materialize_options_t materialize = FP_MATERIALIZE_OPTIONS_INIT;
    return fp_provider_register(context, &ops, nullptr, &provider) == FP_ERR_INVALID_ARGUMENT
        && fp_provider_register_ex(context, &config, nullptr, &provider) == FP_ERR_INVALID_ARGUMENT
        && fp_promise_destroy(context, "promise-1") == FP_ERR_INVALID_ARGUMENT
        && fp_materialize(context, "/a", "/b", &materialize) == FP_ERR_INVALID_ARGUMENT;
}

} // namespace

int main()
{
    if (!open_and_register("a relative path")) {
        std::fprintf(stderr, "calls from C++ failed: %s\n", fp_last_error());
        return 1;
    }
    if (std::strcmp(fp_status_string(FP_ERR_IO), "io error") != 0) {
        std::fprintf(stderr, "fp_status_string is wrong\n");
        return 1;
    }
    return 0;
}
