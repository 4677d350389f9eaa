// For programs that do not fuzz: what cmake/fuzz.cmake has the compiler call goes here.
extern "C" __attribute__((weak)) void __sanitizer_cov_trace_pc() {}
