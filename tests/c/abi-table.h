/*
 * The frozen facts of the 1.0 ABI, as rows. The C and the C++ program define what a row becomes and
 * include this file. Layouts are those of LP64.
 *
 * CONSTANT(name, type, value)
 * STRUCTURE(type, size)
 * MEMBER(structure, member, type, offset)
 * FUNCTION(name, type of a pointer to it)
 */

CONSTANT(FP_API_VERSION, uint32_t, 1)

CONSTANT(FP_OK, fp_status_t, 0)
CONSTANT(FP_ERR_INVALID_ARGUMENT, fp_status_t, 1)
CONSTANT(FP_ERR_UNAVAILABLE, fp_status_t, 2)
CONSTANT(FP_ERR_PERMISSION, fp_status_t, 3)
CONSTANT(FP_ERR_NOT_FOUND, fp_status_t, 4)
CONSTANT(FP_ERR_ALREADY_EXISTS, fp_status_t, 5)
CONSTANT(FP_ERR_PROVIDER_GONE, fp_status_t, 6)
CONSTANT(FP_ERR_IO, fp_status_t, 7)
CONSTANT(FP_ERR_TIMEOUT, fp_status_t, 8)
CONSTANT(FP_ERR_CANCELLED, fp_status_t, 9)
CONSTANT(FP_ERR_VERSION_MISMATCH, fp_status_t, 10)

CONSTANT(FP_CONFLICT_FAIL, fp_conflict_policy_t, 0)
CONSTANT(FP_CONFLICT_OVERWRITE, fp_conflict_policy_t, 1)
CONSTANT(FP_CONFLICT_RENAME, fp_conflict_policy_t, 2)

STRUCTURE(fp_context_options_t, 16)
MEMBER(fp_context_options_t, struct_size, uint32_t, 0)
MEMBER(fp_context_options_t, api_version, uint32_t, 4)
MEMBER(fp_context_options_t, runtime_dir, const char *, 8)

STRUCTURE(fp_read_request_t, 40)
MEMBER(fp_read_request_t, promise_id, const char *, 0)
MEMBER(fp_read_request_t, node_id, const char *, 8)
MEMBER(fp_read_request_t, relative_path, const char *, 16)
MEMBER(fp_read_request_t, offset, uint64_t, 24)
MEMBER(fp_read_request_t, length, size_t, 32)

STRUCTURE(fp_read_response_t, 24)
MEMBER(fp_read_response_t, buffer, uint8_t *, 0)
MEMBER(fp_read_response_t, buffer_len, size_t, 8)
MEMBER(fp_read_response_t, bytes_written, size_t, 16)

STRUCTURE(fp_provider_ops_t, 16)
MEMBER(fp_provider_ops_t, struct_size, uint32_t, 0)
MEMBER(fp_provider_ops_t, read, fp_provider_read_fn, 8)

STRUCTURE(fp_node_attr_t, 24)
MEMBER(fp_node_attr_t, struct_size, uint32_t, 0)
MEMBER(fp_node_attr_t, mode, uint32_t, 4)
MEMBER(fp_node_attr_t, size, uint64_t, 8)
MEMBER(fp_node_attr_t, mtime_nsec, int64_t, 16)

STRUCTURE(fp_materialize_progress_t, 80)
MEMBER(fp_materialize_progress_t, struct_size, uint32_t, 0)
MEMBER(fp_materialize_progress_t, entries_done, uint64_t, 8)
MEMBER(fp_materialize_progress_t, entries_total, uint64_t, 16)
MEMBER(fp_materialize_progress_t, bytes_written, uint64_t, 24)
MEMBER(fp_materialize_progress_t, bytes_total, uint64_t, 32)
MEMBER(fp_materialize_progress_t, files_written, uint64_t, 40)
MEMBER(fp_materialize_progress_t, files_total, uint64_t, 48)
MEMBER(fp_materialize_progress_t, directories_created, uint64_t, 56)
MEMBER(fp_materialize_progress_t, directories_total, uint64_t, 64)
MEMBER(fp_materialize_progress_t, target_path, const char *, 72)

STRUCTURE(fp_materialize_options_t, 24)
MEMBER(fp_materialize_options_t, struct_size, uint32_t, 0)
MEMBER(fp_materialize_options_t, conflict_policy, fp_conflict_policy_t, 4)
MEMBER(fp_materialize_options_t, progress, fp_materialize_progress_fn, 8)
MEMBER(fp_materialize_options_t, progress_user_data, void *, 16)

FUNCTION(fp_status_string, const char *(*)(fp_status_t))
FUNCTION(fp_context_open, fp_status_t (*)(const fp_context_options_t *, fp_context_t **))
FUNCTION(fp_context_close, void (*)(fp_context_t *))
FUNCTION(fp_provider_register,
         fp_status_t (*)(fp_context_t *, const fp_provider_ops_t *, void *, fp_provider_t **))
FUNCTION(fp_provider_unregister, void (*)(fp_provider_t *))
FUNCTION(fp_promise_builder_new,
         fp_status_t (*)(fp_context_t *, fp_provider_t *, fp_promise_builder_t **))
FUNCTION(fp_promise_add_dir, fp_status_t (*)(fp_promise_builder_t *, const char *,
                                             const fp_node_attr_t *, const char *))
FUNCTION(fp_promise_add_file, fp_status_t (*)(fp_promise_builder_t *, const char *,
                                              const fp_node_attr_t *, const char *))
FUNCTION(fp_promise_commit, fp_status_t (*)(fp_promise_builder_t *, char *, size_t))
FUNCTION(fp_promise_builder_free, void (*)(fp_promise_builder_t *))
FUNCTION(fp_materialize, fp_status_t (*)(fp_context_t *, const char *, const char *,
                                         const fp_materialize_options_t *))

/* Since 1.1. */
FUNCTION(fp_library_version, const char *(*)(void))
FUNCTION(fp_last_error, const char *(*)(void))

CONSTANT(FP_CONFLICT_SKIP, fp_conflict_policy_t, 3)
CONSTANT(FP_CONFLICT_NEWER, fp_conflict_policy_t, 4)

CONSTANT(FP_JOB_RUNNING, fp_materialize_state_t, 0)
CONSTANT(FP_JOB_FINISHED, fp_materialize_state_t, 1)
CONSTANT(FP_JOB_FAILED, fp_materialize_state_t, 2)
CONSTANT(FP_JOB_CANCELLED, fp_materialize_state_t, 3)

CONSTANT(FP_ENTRY_REPLACED, fp_materialize_outcome_t, 1)
CONSTANT(FP_ENTRY_SKIPPED, fp_materialize_outcome_t, 2)
CONSTANT(FP_ENTRY_FAILED, fp_materialize_outcome_t, 3)

STRUCTURE(fp_materialize_start_options_t, 16)
MEMBER(fp_materialize_start_options_t, struct_size, uint32_t, 0)
MEMBER(fp_materialize_start_options_t, conflict_policy, fp_conflict_policy_t, 4)
MEMBER(fp_materialize_start_options_t, sync, uint32_t, 8)
MEMBER(fp_materialize_start_options_t, detach, uint32_t, 12)

STRUCTURE(fp_materialize_status_t, 120)
MEMBER(fp_materialize_status_t, struct_size, uint32_t, 0)
MEMBER(fp_materialize_status_t, state, fp_materialize_state_t, 4)
MEMBER(fp_materialize_status_t, status, fp_status_t, 8)
MEMBER(fp_materialize_status_t, reserved, uint32_t, 12)
MEMBER(fp_materialize_status_t, entries_done, uint64_t, 16)
MEMBER(fp_materialize_status_t, entries_total, uint64_t, 24)
MEMBER(fp_materialize_status_t, bytes_written, uint64_t, 32)
MEMBER(fp_materialize_status_t, bytes_total, uint64_t, 40)
MEMBER(fp_materialize_status_t, files_written, uint64_t, 48)
MEMBER(fp_materialize_status_t, files_total, uint64_t, 56)
MEMBER(fp_materialize_status_t, directories_created, uint64_t, 64)
MEMBER(fp_materialize_status_t, directories_total, uint64_t, 72)
MEMBER(fp_materialize_status_t, bytes_per_second, uint64_t, 80)
MEMBER(fp_materialize_status_t, written, uint64_t, 88)
MEMBER(fp_materialize_status_t, skipped, uint64_t, 96)
MEMBER(fp_materialize_status_t, failed, uint64_t, 104)
MEMBER(fp_materialize_status_t, removed, uint64_t, 112)

STRUCTURE(fp_materialize_entry_t, 32)
MEMBER(fp_materialize_entry_t, struct_size, uint32_t, 0)
MEMBER(fp_materialize_entry_t, outcome, fp_materialize_outcome_t, 4)
MEMBER(fp_materialize_entry_t, status, fp_status_t, 8)
MEMBER(fp_materialize_entry_t, reserved, uint32_t, 12)
MEMBER(fp_materialize_entry_t, path, const char *, 16)
MEMBER(fp_materialize_entry_t, message, const char *, 24)

FUNCTION(fp_materialize_start,
         fp_status_t (*)(fp_context_t *, const char *, const char *,
                         const fp_materialize_start_options_t *, fp_materialize_job_t **))
FUNCTION(fp_materialize_poll, fp_status_t (*)(fp_materialize_job_t *, fp_materialize_status_t *))
FUNCTION(fp_materialize_wait, fp_status_t (*)(fp_materialize_job_t *, int32_t))
FUNCTION(fp_materialize_result,
         fp_status_t (*)(fp_materialize_job_t *, size_t, fp_materialize_entry_t *))
FUNCTION(fp_materialize_cancel, fp_status_t (*)(fp_materialize_job_t *))
FUNCTION(fp_materialize_free, void (*)(fp_materialize_job_t *))

CONSTANT(FP_CACHE_POLICY_DEFAULT, fp_cache_policy_t, 0)
CONSTANT(FP_CACHE_POLICY_NONE, fp_cache_policy_t, 1)
CONSTANT(FP_CACHE_POLICY_READ_THROUGH, fp_cache_policy_t, 2)
CONSTANT(FP_CACHE_POLICY_KEEP, fp_cache_policy_t, 3)

FUNCTION(fp_promise_builder_set_cache_policy,
         fp_status_t (*)(fp_promise_builder_t *, fp_cache_policy_t))
FUNCTION(fp_promise_invalidate, fp_status_t (*)(fp_provider_t *, const char *, const char *))

CONSTANT(FP_EVENT_DESTROYED, fp_event_kind_t, 1)
CONSTANT(FP_EVENT_RELEASED, fp_event_kind_t, 2)

STRUCTURE(fp_event_t, 16)
MEMBER(fp_event_t, struct_size, uint32_t, 0)
MEMBER(fp_event_t, kind, fp_event_kind_t, 4)
MEMBER(fp_event_t, promise_id, const char *, 8)

STRUCTURE(fp_provider_config_t, 32)
MEMBER(fp_provider_config_t, struct_size, uint32_t, 0)
MEMBER(fp_provider_config_t, flags, uint32_t, 4)
MEMBER(fp_provider_config_t, max_concurrent_reads, uint32_t, 8)
MEMBER(fp_provider_config_t, read_timeout_ms, uint32_t, 12)
MEMBER(fp_provider_config_t, read, fp_provider_read_fn, 16)
MEMBER(fp_provider_config_t, event, fp_provider_event_fn, 24)

FUNCTION(fp_provider_register_ex,
         fp_status_t (*)(fp_context_t *, const fp_provider_config_t *, void *, fp_provider_t **))
FUNCTION(fp_promise_destroy, fp_status_t (*)(fp_context_t *, const char *))
