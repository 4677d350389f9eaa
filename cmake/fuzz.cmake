# Readers of untrusted bytes tell tests/fuzz which of their blocks an input has reached, where the address sanitizer is on anyway.
# In all other programs the call comes to an empty function in the library.
if(CHORALE_SANITIZE MATCHES address)
  file(GLOB fuzzed_sources CONFIGURE_DEPENDS core/io/safetensors_*.cpp core/io/manifest.cpp core/io/strict_json.cpp core/io/idx.cpp core/io/array_bytes.cpp
       core/io/npy.cpp core/data/csv_*.cpp core/data/infer_*.cpp core/data/gzip.cpp core/base/option.cpp comm/control/message.cpp
       launcher/recipe.cpp launcher/supervisor/host_list.cpp launcher/slurm/*.cpp)
  set_property(SOURCE ${fuzzed_sources} APPEND PROPERTY COMPILE_OPTIONS -fsanitize-coverage=trace-pc)
  if(CHORALE_SANITIZE MATCHES undefined)
    set_property(SOURCE ${fuzzed_sources} APPEND PROPERTY COMPILE_OPTIONS -fsanitize=alignment)
  endif()
  target_sources(chorale PRIVATE ${PROJECT_SOURCE_DIR}/tests/fuzz/nobody_counts.cpp)
endif()
