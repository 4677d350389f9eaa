# What makes a mistake in a reader hard to use for anything but a crash. tests/hardening_test.sh looks for all of it in what was built.
# Sanitized builds have checks of their own, which _FORTIFY_SOURCE would hide from them.
include(CheckCXXCompilerFlag)
include(CheckCXXSourceCompiles)
include(CheckPIESupported)
check_pie_supported()  # without it CMake compiles for PIE and leaves the linking to the compiler's default

set(hardening_options "")
foreach(flag -fstack-protector-strong -fstack-clash-protection -fcf-protection)
  string(MAKE_C_IDENTIFIER "CHORALE_HAS${flag}" has)
  check_cxx_compiler_flag(${flag} ${has})
  if(${has})
    list(APPEND hardening_options ${flag})
  endif()
endforeach()

# Level 3 needs GCC 12 and glibc 2.34. A distribution may have its own level on already.
check_cxx_source_compiles("#include <features.h>
#if !__GLIBC_PREREQ(2, 34) || !__has_builtin(__builtin_dynamic_object_size)
#error
#endif
int main() {}" CHORALE_HAS_FORTIFY_3)
set(fortify_level 2)
if(CHORALE_HAS_FORTIFY_3)
  set(fortify_level 3)
endif()
if(NOT CHORALE_SANITIZE)
  list(APPEND hardening_options $<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE> $<$<NOT:$<CONFIG:Debug>>:-D_FORTIFY_SOURCE=${fortify_level}>)
endif()
target_compile_options(chorale_settings INTERFACE ${hardening_options})

# Checks of indices in std::vector, span, string_view ...: everywhere but in the loops that a step is made of
# (cmake/device_cpu.cmake takes it back for core/device/cpu).
target_compile_definitions(chorale_settings INTERFACE _GLIBCXX_ASSERTIONS)
add_link_options(LINKER:-z,relro,-z,now,-z,noexecstack)
