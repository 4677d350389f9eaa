# The CPU device. Loops of core/device/cpu/kernels are compiled once per instruction set; the processor's best is taken at run time.
file(GLOB kernel_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/core/device/cpu/kernels/*.cpp)
set(isa_flags_baseline -march=x86-64 -msse3 -mtune=generic)
set(isa_flags_avx2 -march=haswell)
set(isa_flags_avx512 -march=skylake-avx512 -mprefer-vector-width=512)
foreach(isa baseline avx2 avx512)
  add_library(chorale_core_device_cpu_kernels_${isa} OBJECT ${kernel_sources})
  set_target_properties(chorale_core_device_cpu_kernels_${isa} PROPERTIES UNITY_BUILD OFF)  # each file has flags of its own, and is looked at by itself
  target_link_libraries(chorale_core_device_cpu_kernels_${isa} PRIVATE chorale_settings)
  target_compile_definitions(chorale_core_device_cpu_kernels_${isa} PRIVATE CHORALE_ISA=${isa})
  target_compile_options(chorale_core_device_cpu_kernels_${isa} PRIVATE ${isa_flags_${isa}} $<$<CONFIG:Release>:-O3> -fno-math-errno -fno-trapping-math -fno-exceptions)
  target_compile_options(chorale_core_device_cpu_kernels_${isa} PRIVATE -U_GLIBCXX_ASSERTIONS)  # sizes are checked outside of the loops
  target_sources(chorale PRIVATE $<TARGET_OBJECTS:chorale_core_device_cpu_kernels_${isa}>)
endforeach()
# NaN must pass through (a spoilt sample is named by its loss), so not finite-math-only; the macro is what opens the vector exp of libmvec.
set_source_files_properties(${PROJECT_SOURCE_DIR}/core/device/cpu/kernels/transcendental.cpp ${PROJECT_SOURCE_DIR}/core/device/cpu/kernels/rows.cpp
                            ${PROJECT_SOURCE_DIR}/core/device/cpu/kernels/norms.cpp ${PROJECT_SOURCE_DIR}/core/device/cpu/kernels/attention.cpp
                            ${PROJECT_SOURCE_DIR}/core/device/cpu/kernels/recurrent.cpp
                            PROPERTIES COMPILE_OPTIONS "-ffast-math;-fno-finite-math-only;-D__FAST_MATH__")
chorale_folder(core/device/cpu)
if(TARGET chorale_core_device_cpu)
  target_compile_options(chorale_core_device_cpu PRIVATE -U_GLIBCXX_ASSERTIONS)
  target_include_directories(chorale_core_device_cpu PRIVATE ${OPENBLAS_INCLUDE})
  target_link_libraries(chorale_core_device_cpu PRIVATE Eigen3::Eigen)
endif()
target_link_libraries(chorale PRIVATE mvec)
