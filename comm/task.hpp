// A collective as straight-line code: a coroutine that stops at `co_await kPause` wherever a peer has to come first,
// and is resumed by whoever waits or polls. Nested tasks are awaited like calls. Frames come from the pool of the object whose
// member the coroutine is. One thread at a time.
#pragma once
#include <coroutine>
#include <exception>
#include <utility>

#include <chorale/comm/block_pool.hpp>

namespace chorale {

class Task {
 public:
  struct promise_type;
  using Handle = std::coroutine_handle<promise_type>;

  struct promise_type {
    promise_type* root = this;  // the task that resume() is called on
    Handle parent = {};         // who awaits this one
    Handle leaf = {};           // in the root: where to go on
    std::exception_ptr error = {};

    struct Leave {
      bool await_ready() noexcept { return false; }
      std::coroutine_handle<> await_suspend(Handle self) noexcept {
        promise_type& promise = self.promise();
        promise.root->leaf = promise.parent;
        return promise.parent ? std::coroutine_handle<>(promise.parent) : std::noop_coroutine();
      }
      void await_resume() noexcept {}
    };
    template <class Owner, class... Arguments>
    static void* operator new(std::size_t bytes, Owner& owner, Arguments&...) {
      return owner.pool().take(bytes);
    }
    static void operator delete(void* frame) { BlockPool::give_back(frame); }

    Task get_return_object() { return Task(Handle::from_promise(*this)); }
    std::suspend_always initial_suspend() noexcept { return {}; }
    Leave final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { error = std::current_exception(); }
  };

  Task() = default;
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})), started_(other.started_) {}
  Task& operator=(Task&& other) noexcept {
    std::swap(handle_, other.handle_);
    std::swap(started_, other.started_);
    return *this;
  }
  ~Task() {
    if (handle_) handle_.destroy();
  }

  /// Runs to the next pause; true when finished. Throws what the coroutine threw.
  bool resume() {
    promise_type& promise = handle_.promise();
    if (!started_) promise.leaf = handle_, started_ = true;
    promise.leaf.resume();
    if (!handle_.done()) return false;
    if (promise.error) std::rethrow_exception(promise.error);
    return true;
  }

  // Awaiting a task runs it as part of the awaiting one.
  bool await_ready() const noexcept { return false; }
  Handle await_suspend(Handle parent) noexcept {
    promise_type& promise = handle_.promise();
    promise.root = parent.promise().root;
    promise.parent = parent;
    promise.root->leaf = handle_;
    return handle_;
  }
  void await_resume() const {
    if (handle_.promise().error) std::rethrow_exception(handle_.promise().error);
  }

 private:
  explicit Task(Handle handle) : handle_(handle) {}
  Handle handle_ = {};
  bool started_ = false;
};

inline constexpr std::suspend_always kPause{};

}  // namespace chorale
