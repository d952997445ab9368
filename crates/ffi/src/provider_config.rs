//! Registering a provider with more to choose than in 1.0, and what it hears.

use std::ffi::{c_char, c_void};
use std::sync::Arc;
use std::time::Duration;

use fuse_promise_client::ProviderOptions;
use fuse_promise_core::limits::CONCURRENT_READS_MAX;
use fuse_promise_core::{Failure, Result};

use crate::argument::{SizedStruct, sized};
use crate::callbacks::Callbacks;
use crate::context::fp_context_t;
use crate::guard::guard;
use crate::handle::{HandleOut, lent};
use crate::provider::{fp_provider_read_fn, fp_provider_t};
use crate::status::fp_status_t;

/// What an event tells of: one of the FP_EVENT_ constants. Later versions may tell more; a callback
/// leaves alone what it does not know.
pub type fp_event_kind_t = u32;

/// What has happened. The struct and its texts belong to the library and are valid until the
/// callback returns.
#[repr(C)]
pub struct fp_event_t {
    /// sizeof(fp_event_t) of the library, which may be larger than the program's.
    pub struct_size: u32,
    /// One of the FP_EVENT_ constants.
    pub kind: fp_event_kind_t,
    /// The promise it happened to, for instance "promise-7".
    pub promise_id: *const c_char,
}

/// Hears what becomes of the provider's promises.
///
/// It runs on the threads that run the read callback, and with max_concurrent_reads 1 never beside
/// it; it is never called while it runs. What it hears of one promise is in the order in which it
/// happened. FP_EVENT_RELEASED comes once for each promise that is destroyed, when the last read
/// callback for it has returned. There are no events of promises that end with their provider:
/// none after fp_provider_unregister() has returned, and none when the daemon ends. An event may
/// come before the fp_promise_commit() of its promise has returned, if somebody is that fast.
///
/// Reads of the provider may have to wait until it returns. It may call any fp_ function, as the
/// read callback may, fp_provider_unregister() of its own provider included: then this call is the
/// last. It must not throw a C++ exception or longjmp() out.
pub type fp_provider_event_fn =
    Option<unsafe extern "C" fn(event: *const fp_event_t, user_data: *mut c_void)>;

/// The callbacks of a provider and how they are called. Initialise it with
/// FP_PROVIDER_CONFIG_INIT(read_fn). The struct is copied.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fp_provider_config_t {
    /// sizeof(fp_provider_config_t).
    pub struct_size: u32,
    /// Must be 0; no bit has a meaning yet.
    pub flags: u32,
    /// How many read callbacks may run at a time, each on a thread of its own: up to 4096, and 0
    /// means one. Threads are started as they are needed; more than 128, for which the daemon has
    /// room, never run.
    pub max_concurrent_reads: u32,
    /// After how many milliseconds a read has failed with FP_ERR_TIMEOUT. 0 means as long as the
    /// daemon gives every provider, 30 s unless it was started with another time.
    pub read_timeout_ms: u32,
    /// Answers reads. Must not be NULL.
    pub read: fp_provider_read_fn,
    /// Hears what becomes of promises. May be NULL.
    pub event: fp_provider_event_fn,
}

// SAFETY: repr(C), the size comes first, integers and function pointers that may be NULL.
unsafe impl SizedStruct for fp_provider_config_t {
    const NAME: &'static str = "fp_provider_config_t";
    const INIT: &'static str = "FP_PROVIDER_CONFIG_INIT";
}

/// Registers a provider as fp_provider_register() does, with more to choose.
///
/// FP_ERR_INVALID_ARGUMENT: context, config or out_provider is NULL, struct_size is wrong, a bit of
/// config->flags is set, config->max_concurrent_reads is more than 4096, or config->read is NULL.
/// Other failures are those of fp_provider_register().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fp_provider_register_ex(
    context: *mut fp_context_t,
    config: *const fp_provider_config_t,
    user_data: *mut c_void,
    out_provider: *mut *mut fp_provider_t,
) -> fp_status_t {
    guard("fp_provider_register_ex", || {
        // SAFETY: the header asks for a handle variable or NULL.
        let out = unsafe { HandleOut::cleared(out_provider) }?;
        // SAFETY: the header asks for an open handle or NULL.
        let handle = unsafe { lent(context) }?;
        // SAFETY: the header asks for an initialised struct or NULL.
        let config = unsafe { sized(config) }?;
        let options = options_of(&config)?;
        let read = config
            .read
            .ok_or_else(|| Failure::invalid("fp_provider_config_t.read is NULL"))?;
        let callbacks = Arc::new(Callbacks {
            read,
            event: config.event,
            user_data,
        });
        out.give(fp_provider_t {
            provider: handle.context.register(callbacks, options)?,
        });
        Ok(())
    })
}

fn options_of(config: &fp_provider_config_t) -> Result<ProviderOptions> {
    if config.flags != 0 {
        let lowest = config.flags.trailing_zeros();
        return Err(Failure::invalid(format!(
            "fp_provider_config_t.flags has bit {lowest} (0x{:x}), which has no meaning",
            1u32 << lowest
        )));
    }
    if config.max_concurrent_reads > CONCURRENT_READS_MAX {
        return Err(Failure::invalid(format!(
            "fp_provider_config_t.max_concurrent_reads is {} and more than {CONCURRENT_READS_MAX}",
            config.max_concurrent_reads
        )));
    }
    let timeout = u64::from(config.read_timeout_ms);
    Ok(ProviderOptions {
        max_concurrent_reads: Some(config.max_concurrent_reads.max(1)),
        read_timeout: (timeout > 0).then(|| Duration::from_millis(timeout)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: fp_provider_config_t = fp_provider_config_t {
        struct_size: size_of::<fp_provider_config_t>() as u32,
        flags: 0,
        max_concurrent_reads: 0,
        read_timeout_ms: 0,
        read: None,
        event: None,
    };

    #[test]
    fn nothing_chosen_is_one_read_at_a_time_and_the_daemons_timeout() {
        let options = options_of(&CONFIG).unwrap();
        assert_eq!(options.max_concurrent_reads, Some(1));
        assert_eq!(options.read_timeout, None);
    }

    #[test]
    fn what_is_chosen_is_passed_on() {
        let config = fp_provider_config_t {
            max_concurrent_reads: 4096,
            read_timeout_ms: u32::MAX,
            ..CONFIG
        };
        let options = options_of(&config).unwrap();
        assert_eq!(options.max_concurrent_reads, Some(4096));
        let timeout = Duration::from_millis(u32::MAX.into());
        assert_eq!(options.read_timeout, Some(timeout));
    }

    #[test]
    fn one_read_more_than_there_may_be_is_refused_with_both_numbers() {
        let config = fp_provider_config_t {
            max_concurrent_reads: CONCURRENT_READS_MAX + 1,
            ..CONFIG
        };
        let refused = options_of(&config).unwrap_err();
        for number in [CONCURRENT_READS_MAX + 1, CONCURRENT_READS_MAX] {
            let named = refused.message.contains(&number.to_string());
            assert!(named, "{refused}");
        }
    }

    #[test]
    fn each_flag_is_refused_by_its_bit() {
        for bit in 0..32 {
            let config = fp_provider_config_t {
                flags: 1 << bit,
                ..CONFIG
            };
            let refused = options_of(&config).unwrap_err();
            let named = format!("bit {bit} (0x{:x})", 1u32 << bit);
            assert!(refused.message.contains(&named), "{refused}");
        }
    }
}
