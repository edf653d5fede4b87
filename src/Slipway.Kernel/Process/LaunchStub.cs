using System.Runtime.InteropServices;

namespace Slipway.Kernel.Process;

/// <summary>
/// The machine code that clones a child and walks its plan there. A .NET process must not run C# between clone and execve: only
/// the cloning thread survives in the child, and a pending garbage collection would wait there for ever. So the child
/// runs these few instructions, which use neither stack nor memory besides the <see cref="PlanImage"/>.
/// </summary>
/// <remarks>
/// Signature: <c>long stub(PlanImage header*)</c>, the C calling convention. It returns, in the parent only, what clone3 returned: the
/// child's pid, or a negated errno. The offsets are those of the structures in PlanImageLayout.cs. A test disassembles
/// both arrays with objdump and compares the result with the listings below.
/// </remarks>
internal static unsafe class LaunchStub
{
    private static readonly Lazy<nint> s_entryPoint = new(Map);

    /// <summary>Address of the stub for this architecture, mapped read and execute.</summary>
    public static delegate* unmanaged<void*, long> EntryPoint => (delegate* unmanaged<void*, long>)s_entryPoint.Value;

    // System V AMD64 ABI: the argument is in rdi. System calls keep all registers but rax, rcx and r11 (syscall(2)).
    public static ReadOnlySpan<byte> X64 =>
    [
        0xf3, 0x0f, 0x1e, 0xfa,              // 00: endbr64
        0x49, 0x89, 0xf9,                    // 04: mov    r9,rdi  ; the header; clone3 preserves r9 in parent and child
        0x49, 0x8d, 0x79, 0x28,              // 07: lea    rdi,[r9+0x28]  ; its clone_args
        0xbe, 0x58, 0x00, 0x00, 0x00,        // 0b: mov    esi,0x58  ; sizeof(struct clone_args) with cgroup
        0xb8, 0xb3, 0x01, 0x00, 0x00,        // 10: mov    eax,0x1b3  ; clone3
        0x0f, 0x05,                          // 15: syscall
        0x48, 0x85, 0xc0,                    // 17: test   rax,rax
        0x74, 0x01,                          // 1a: je     0x1d  ; child
        0xc3,                                // 1c: ret  ; the parent: the pid or -errno
        0x4c, 0x89, 0xcb,                    // 1d: mov    rbx,r9  ; child:
        0x48, 0x8b, 0x6b, 0x10,              // 20: mov    rbp,QWORD PTR [rbx+0x10]  ; the first entry
        0x4c, 0x8b, 0x63, 0x18,              // 24: mov    r12,QWORD PTR [rbx+0x18]  ; the end of entries
        0x4c, 0x39, 0xe5,                    // 28: cmp    rbp,r12  ; next:
        0x73, 0x57,                          // 2b: jae    0x84  ; leave
        0x8b, 0x4d, 0x40,                    // 2d: mov    ecx,DWORD PTR [rbp+0x40]  ; which arguments are results
        0x0f, 0xbc, 0xd1,                    // 30: bsf    edx,ecx  ; resolve: the lowest of them
        0x74, 0x15,                          // 33: je     0x4a  ; call
        0x48, 0x8b, 0x44, 0xd5, 0x08,        // 35: mov    rax,QWORD PTR [rbp+rdx*8+0x8]  ; the offset of the result
        0x48, 0x8b, 0x04, 0x03,              // 3a: mov    rax,QWORD PTR [rbx+rax*1]
        0x48, 0x89, 0x44, 0xd5, 0x08,        // 3e: mov    QWORD PTR [rbp+rdx*8+0x8],rax
        0x8d, 0x41, 0xff,                    // 43: lea    eax,[rcx-0x1]  ; clear the lowest bit
        0x21, 0xc1,                          // 46: and    ecx,eax
        0xeb, 0xe6,                          // 48: jmp    0x30  ; resolve
        0x48, 0x8b, 0x45, 0x00,              // 4a: mov    rax,QWORD PTR [rbp+0x0]  ; call: the number
        0x48, 0x8b, 0x7d, 0x08,              // 4e: mov    rdi,QWORD PTR [rbp+0x8]
        0x48, 0x8b, 0x75, 0x10,              // 52: mov    rsi,QWORD PTR [rbp+0x10]
        0x48, 0x8b, 0x55, 0x18,              // 56: mov    rdx,QWORD PTR [rbp+0x18]
        0x4c, 0x8b, 0x55, 0x20,              // 5a: mov    r10,QWORD PTR [rbp+0x20]
        0x4c, 0x8b, 0x45, 0x28,              // 5e: mov    r8,QWORD PTR [rbp+0x28]
        0x4c, 0x8b, 0x4d, 0x30,              // 62: mov    r9,QWORD PTR [rbp+0x30]
        0x0f, 0x05,                          // 66: syscall
        0x48, 0x89, 0x45, 0x38,              // 68: mov    QWORD PTR [rbp+0x38],rax  ; the result
        0x48, 0x85, 0xc0,                    // 6c: test   rax,rax
        0x79, 0x21,                          // 6f: jns    0x92  ; advance
        0xf7, 0xd8,                          // 71: neg    eax  ; an errno: is it tolerated?
        0x3b, 0x45, 0x44,                    // 73: cmp    eax,DWORD PTR [rbp+0x44]
        0x74, 0x1a,                          // 76: je     0x92  ; advance
        0x3b, 0x45, 0x48,                    // 78: cmp    eax,DWORD PTR [rbp+0x48]
        0x74, 0x15,                          // 7b: je     0x92  ; advance
        0x48, 0x29, 0xdd,                    // 7d: sub    rbp,rbx  ; no: record which entry failed
        0x48, 0x89, 0x6b, 0x20,              // 80: mov    QWORD PTR [rbx+0x20],rbp
        0xbf, 0x7f, 0x00, 0x00, 0x00,        // 84: mov    edi,0x7f  ; leave: exit_group(127)
        0xb8, 0xe7, 0x00, 0x00, 0x00,        // 89: mov    eax,0xe7
        0x0f, 0x05,                          // 8e: syscall
        0x0f, 0x0b,                          // 90: ud2
        0x48, 0x83, 0xc5, 0x50,              // 92: add    rbp,0x50  ; advance: to the next entry
        0xeb, 0x90,                          // 96: jmp    0x28  ; next
    ];

    // AAPCS64: the argument is in x0. System calls keep all registers but x0.
    public static ReadOnlySpan<byte> Arm64 =>
    [
        0x5f, 0x24, 0x03, 0xd5,  // 00: bti    c
        0xe9, 0x03, 0x00, 0xaa,  // 04: mov    x9, x0  ; the header; clone3 preserves x9 in parent and child
        0x20, 0xa1, 0x00, 0x91,  // 08: add    x0, x9, #0x28  ; its clone_args
        0x01, 0x0b, 0x80, 0xd2,  // 0c: mov    x1, #0x58  ; sizeof(struct clone_args) with cgroup
        0x68, 0x36, 0x80, 0xd2,  // 10: mov    x8, #0x1b3  ; clone3
        0x01, 0x00, 0x00, 0xd4,  // 14: svc    #0x0
        0x40, 0x00, 0x00, 0xb4,  // 18: cbz    x0, 0x20  ; child
        0xc0, 0x03, 0x5f, 0xd6,  // 1c: ret  ; the parent: the pid or -errno
        0xf3, 0x03, 0x09, 0xaa,  // 20: mov    x19, x9  ; child:
        0x74, 0x56, 0x41, 0xa9,  // 24: ldp    x20, x21, [x19, #16]  ; the first entry and the end of entries
        0x9f, 0x02, 0x15, 0xeb,  // 28: cmp    x20, x21  ; next:
        0x62, 0x03, 0x00, 0x54,  // 2c: b.cs   0x98  ; leave
        0x96, 0x42, 0x40, 0xb9,  // 30: ldr    w22, [x20, #64]  ; which arguments are results
        0x56, 0x01, 0x00, 0x34,  // 34: cbz    w22, 0x5c  ; resolve: none left, call
        0xc9, 0x02, 0xc0, 0x5a,  // 38: rbit   w9, w22  ; the lowest of them
        0x29, 0x11, 0xc0, 0x5a,  // 3c: clz    w9, w9
        0x8a, 0x0e, 0x09, 0x8b,  // 40: add    x10, x20, x9, lsl #3
        0x4b, 0x05, 0x40, 0xf9,  // 44: ldr    x11, [x10, #8]  ; the offset of the result
        0x6b, 0x6a, 0x6b, 0xf8,  // 48: ldr    x11, [x19, x11]
        0x4b, 0x05, 0x00, 0xf9,  // 4c: str    x11, [x10, #8]
        0xcc, 0x06, 0x00, 0x51,  // 50: sub    w12, w22, #0x1  ; clear the lowest bit
        0xd6, 0x02, 0x0c, 0x0a,  // 54: and    w22, w22, w12
        0xf7, 0xff, 0xff, 0x17,  // 58: b      0x34  ; resolve
        0x88, 0x02, 0x40, 0xf9,  // 5c: ldr    x8, [x20]  ; call: the number
        0x80, 0x86, 0x40, 0xa9,  // 60: ldp    x0, x1, [x20, #8]
        0x82, 0x8e, 0x41, 0xa9,  // 64: ldp    x2, x3, [x20, #24]
        0x84, 0x96, 0x42, 0xa9,  // 68: ldp    x4, x5, [x20, #40]
        0x01, 0x00, 0x00, 0xd4,  // 6c: svc    #0x0
        0x80, 0x1e, 0x00, 0xf9,  // 70: str    x0, [x20, #56]  ; the result
        0xa0, 0x01, 0xf8, 0xb6,  // 74: tbz    x0, #63, 0xa8  ; advance
        0xe0, 0x03, 0x00, 0x4b,  // 78: neg    w0, w0  ; an errno: is it tolerated?
        0x89, 0xaa, 0x48, 0x29,  // 7c: ldp    w9, w10, [x20, #68]
        0x1f, 0x00, 0x09, 0x6b,  // 80: cmp    w0, w9
        0x20, 0x01, 0x00, 0x54,  // 84: b.eq   0xa8  ; advance
        0x1f, 0x00, 0x0a, 0x6b,  // 88: cmp    w0, w10
        0xe0, 0x00, 0x00, 0x54,  // 8c: b.eq   0xa8  ; advance
        0x94, 0x02, 0x13, 0xcb,  // 90: sub    x20, x20, x19  ; no: record which entry failed
        0x74, 0x12, 0x00, 0xf9,  // 94: str    x20, [x19, #32]
        0xe0, 0x0f, 0x80, 0x52,  // 98: mov    w0, #0x7f  ; leave: exit_group(127)
        0xc8, 0x0b, 0x80, 0xd2,  // 9c: mov    x8, #0x5e
        0x01, 0x00, 0x00, 0xd4,  // a0: svc    #0x0
        0x00, 0x00, 0x20, 0xd4,  // a4: brk    #0x0
        0x94, 0x42, 0x01, 0x91,  // a8: add    x20, x20, #0x50  ; advance: to the next entry
        0xdf, 0xff, 0xff, 0x17,  // ac: b      0x28  ; next
    ];

    private static nint Map()
    {
        ReadOnlySpan<byte> code = RuntimeInformation.ProcessArchitecture switch
        {
            Architecture.X64 => X64,
            Architecture.Arm64 => Arm64,
            Architecture other => throw new PlatformNotSupportedException($"Slipway launches containers on x86-64 and arm64, not on {other}"),
        };

        nuint length = (nuint)Environment.SystemPageSize;
        void* page = ProcessNative.mmap(null, length, ProcessNative.PROT_READ | ProcessNative.PROT_WRITE, ProcessNative.MAP_PRIVATE | ProcessNative.MAP_ANONYMOUS, -1, 0);
        if (page == ProcessNative.MAP_FAILED)
        {
            throw new KernelException("mmap of the launch stub", Marshal.GetLastPInvokeError());
        }

        code.CopyTo(new Span<byte>(page, code.Length));
        if (ProcessNative.mprotect(page, length, ProcessNative.PROT_READ | ProcessNative.PROT_EXEC) != 0)
        {
            throw new KernelException("mprotect of the launch stub", Marshal.GetLastPInvokeError());
        }

        // arm64 keeps separate instruction caches; membarrier is not needed: mprotect of a fresh mapping flushes them
        // (arch/arm64/mm/flush.c, __sync_icache_dcache at the first executable mapping of a page).
        return (nint)page;
    }
}
