// The GIL let go for a while, as nb::gil_scoped_release does, and taken again in a way that a process survives.
#pragma once

#include <nanobind/nanobind.h>

#if defined(__GLIBCXX__)
#include <cxxabi.h>
#include <unistd.h>
#endif

namespace striate::bindings {

// While it lives, its thread is without the GIL.
//
// A daemon thread whose call outlives the interpreter never gets the GIL back: Python (up to 3.13) ends such a thread by
// pthread_exit, which glibc carries out by unwinding the stack, and to unwind out of a destructor, or past nanobind's
// `catch (...)`, is to abort the process. Here the thread goes to sleep instead (as Python 3.14 has it), and the process
// ends as it was about to.
class WithoutGil {
public:
    WithoutGil() : state_(PyEval_SaveThread()) {}
    WithoutGil(const WithoutGil&) = delete;
    WithoutGil& operator=(const WithoutGil&) = delete;
    ~WithoutGil() {
#if defined(__GLIBCXX__)
        try {
            PyEval_RestoreThread(state_);
        } catch (abi::__forced_unwind&) {
            for (;;) ::pause();
        }
#else
        PyEval_RestoreThread(state_);
#endif
    }

private:
    PyThreadState* state_;
};

}  // namespace striate::bindings
