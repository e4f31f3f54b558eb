// What the loader asks a library before it trusts it.
#include "arguments.hpp"

#ifndef CHAOS_STAMP
#error "CHAOS_STAMP, the crc32 of the sources, is given by hatch_build.py"
#endif

CHAOS_API uint32_t chaos_stamp(void) { return CHAOS_STAMP; }
CHAOS_API int64_t chaos_step_bytes(void) { return sizeof(chaos::StepArguments); }
