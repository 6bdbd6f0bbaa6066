"""What a function is by its name: waiting, collecting garbage, allocating, profiling, or an interpreter's loop.

Names are those that the profilers of Go, Java, Python, Node.js, .NET, Ruby and Linux print. A name is matched from
its beginning, after the module or the path that some of them print before it.
"""

import re
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]

IDLE: Final = re.compile(
    r"^(<idle>|\[idle\]|idle$|swapper|cpu_idle|do_idle|native_safe_halt|mwait_idle|intel_idle|cpuidle_)"  # Linux
    r"|^(__)?(epoll_p?wait2?|epoll_wait_nocancel|poll|ppoll|select|pselect|kevent|nanosleep|clock_nanosleep|sigwait)$"
    r"|^(__)?(futex_wait|futex_abstimed_wait|pthread_cond_(timed)?wait|lll_lock_wait|sem_wait|accept4?|recvmsg)"
    r"|^runtime\.(futex|futexsleep|epollwait|netpoll|notesleep|usleep|gopark|park_m|stopm|findRunnable|findrunnable)$"
    r"|(^|[.:/ ])(Unsafe[._]park|Unsafe_Park|LockSupport\.park\w*|Object\.wait\w*|Thread\.sleep\w*)$"  # Java
    r"|^(java|jdk)[./].*(EPoll\.wait|SocketDispatcher\.read0)$"
    r"|^(uv__io_poll|uv__platform_loop|\(idle\))"  # Node.js
    r"|(Monitor\.Wait|WaitHandle\.Wait\w*|LowLevelLifoSemaphore\.Wait\w*|Thread\.Sleep\w*)$"  # .NET
    r"|^(time\.sleep|select\.(select|poll|epoll)|threading\.(wait|_wait_for_tstate_lock)|selectors\.select)$"
)
"""Frames of threads that wait: profiles of wall time count them, profiles of CPU time should not."""

COLLECTOR: Final = re.compile(
    r"^runtime\.(gc[A-Z]\w*|GC|bgsweep|bgscavenge|scanobject|scanblock|scanstack|greyobject|markroot\w*|sweepone"
    r"|wbBufFlush\w*|\(\*gcWork\)\.\w+|\(\*sweepLocked\)\.sweep|\(\*mspan\)\.sweep)$"
    r"|^runtime\.(gcBgMarkWorker|gcDrain)\b"
    r"|^(_?PyGC_|_PyObject_GC_|gc_collect|collect_generations|deduce_unreachable|subtract_refs|gc\.collect)"
    r"|GCTaskThread|^(G1|PS|Z|Shenandoah|Parallel)\w*(Task|Collect|Mark|Evac|Scan|Scavenge|Relocat)"
    r"|^(VM_GC_|VM_G1|GangWorker|CMSCollector|GenCollect)"
    r"|^v8::internal::(Heap|Scavenger\w*|MarkCompact\w*|Sweeper|ConcurrentMarking|\w*Marking\w*)::"
    r"|^\(garbage collector\)"
    r"|^(WKS|SVR)::gc_heap|^(WKS|SVR)::GCHeap"
    r"|^(gc_mark\w*|gc_sweep\w*|rb_gc_\w*|garbage_collect)$"
)
"""Garbage collection: Go, CPython, HotSpot, V8, .NET, Ruby."""

ALLOCATION: Final = re.compile(
    r"^runtime\.(mallocgc\w*|newobject|makeslice\w*|growslice|makemap\w*|rawstring\w*|newarray|\(\*mcache\)\.\w+"
    r"|\(\*mcentral\)\.\w+|\(\*mheap\)\.alloc\w*)$"
    r"|^(__libc_|_int_|je_|tc_|mi_)?(malloc|calloc|realloc|free)(_consolidate)?$|^operator (new|delete)"
    r"|^(_PyObject_Malloc|_PyMem_\w+|PyObject_(Malloc|Free|Realloc)|pymalloc_alloc|_PyObject_GC_New)"
    r"|^(MemAllocator::allocate|CollectedHeap::|InstanceKlass::allocate|JIT_New)"
)
"""Allocation, the collector's assists within it included."""

PROFILER: Final = re.compile(
    r"^runtime\.(sigprof|profileloop|cpuProfile|\(\*profBuf\)\.\w+|saveblockevent|mProf_\w+|tracebackPCs)"
    r"|^runtime/pprof\.|^github\.com/(grafana/pyroscope-go|google/pprof)|^net/http/pprof\."
    r"|^(py_spy|pyroscope|ddtrace\.(profiling|internal\.datadog\.profiling)|memray)[.:]"
    r"|^(AsyncProfiler|Profiler::recordSample|one/profiler/|VM_JFR|JfrSampler|JfrThreadSampler)"
    r"|^(v8::CpuProfiler|v8::internal::(CpuProfiler|Sampler|SamplingEventsProcessor))"
)
"""Profilers at work inside the process they watch."""

INTERPRETER: Final = re.compile(
    r"^(_PyEval_EvalFrameDefault|_PyEval_Vector|_PyFunction_Vectorcall|PyObject_Vectorcall|_PyObject_Vectorcall\w*)"
    r"|^(Interpreter|call_stub|JavaCalls::|ZEND_|execute_ex|rb_vm_exec|vm_exec_core)|^\(program\)$|^Builtins_Interpreter"
    r"|^runtime\.(mcall|mstart\w*|goexit\w*|schedule|systemstack|asmcgocall|main)$|^\(root\)$|^\[?unknown\]?$|^\?*$"
    r"|^others?$|^\(others?\)$"
)
"""Loops and entries of a runtime, and what stands for many functions: nobody can act on them."""


def kind_mask(names: Sequence[str], *kinds: re.Pattern[str]) -> Mask:
    """Which names are of any of some kinds; one look per distinct function of a service, some hundred at most."""
    return np.array([any(kind.search(name) for kind in kinds) for name in names], dtype=bool)
