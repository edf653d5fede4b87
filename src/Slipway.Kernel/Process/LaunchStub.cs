using System.Runtime.InteropServices;

namespace Slipway.Kernel.Process;

/// <summary>
/// The machine code that clones children and walks plans in them. A .NET process must not run C# between clone and execve: only
/// the cloning thread survives in the child, and a pending garbage collection would wait there for ever. So the child
/// runs these few instructions, which use neither stack nor memory besides the <see cref="PlanImage"/>.
/// </summary>
/// <remarks>
/// Signature: <c>long stub(PlanImage header*)</c>, the C calling convention. It returns, in the parent only, what clone3 returned: the
/// child's pid, or a negated errno. A child that has walked all its entries and is still there leaves with 127; but where its header names another
/// (<see cref="PlanImageHeader.Serves"/>) it becomes a <see cref="LaunchHost"/>, which clones a child from that one whenever it is told to. The offsets are those of
/// the structures in PlanImageLayout.cs. A test disassembles both arrays with objdump and compares the result with the listings below.
/// </remarks>
internal static unsafe class LaunchStub
{
    private static readonly Lazy<nint> s_entryPoint = new(Map);

    /// <summary>Bytes that are mapped for it, from <see cref="EntryPoint"/> on.</summary>
    public static nuint MappedBytes => (nuint)Environment.SystemPageSize;

    /// <summary>Address of the stub for this architecture, mapped read and execute.</summary>
    public static delegate* unmanaged<void*, long> EntryPoint => (delegate* unmanaged<void*, long>)s_entryPoint.Value;

    // System V AMD64 ABI: the argument is in rdi. System calls keep all registers but rax, rcx and r11 (syscall(2)).
    public static ReadOnlySpan<byte> X64 =>
    [
        0xf3, 0x0f, 0x1e, 0xfa,                    // 000: endbr64
        0x49, 0x89, 0xf9,                          // 004: mov    r9,rdi  ; the header; clone3 preserves r9 in parent and child
        0x49, 0x8d, 0x79, 0x28,                    // 007: lea    rdi,[r9+0x28]  ; its clone_args
        0xbe, 0x58, 0x00, 0x00, 0x00,              // 00b: mov    esi,0x58  ; sizeof(struct clone_args) with cgroup
        0xb8, 0xb3, 0x01, 0x00, 0x00,              // 010: mov    eax,0x1b3  ; clone3
        0x0f, 0x05,                                // 015: syscall
        0x48, 0x85, 0xc0,                          // 017: test   rax,rax
        0x74, 0x01,                                // 01a: je     0x1d  ; child
        0xc3,                                      // 01c: ret  ; the parent: the pid or -errno
        0x4c, 0x89, 0xcb,                          // 01d: mov    rbx,r9  ; child:
        0x48, 0x8b, 0x6b, 0x10,                    // 020: mov    rbp,QWORD PTR [rbx+0x10]  ; walk: the first entry
        0x4c, 0x8b, 0x63, 0x18,                    // 024: mov    r12,QWORD PTR [rbx+0x18]  ; the end of entries
        0x4c, 0x39, 0xe5,                          // 028: cmp    rbp,r12  ; next:
        0x73, 0x6b,                                // 02b: jae    0x98  ; end
        0x8b, 0x4d, 0x40,                          // 02d: mov    ecx,DWORD PTR [rbp+0x40]  ; which arguments are results
        0x0f, 0xbc, 0xd1,                          // 030: bsf    edx,ecx  ; resolve: the lowest of them
        0x74, 0x15,                                // 033: je     0x4a  ; call
        0x48, 0x8b, 0x44, 0xd5, 0x08,              // 035: mov    rax,QWORD PTR [rbp+rdx*8+0x8]  ; the offset of the result
        0x48, 0x8b, 0x04, 0x03,                    // 03a: mov    rax,QWORD PTR [rbx+rax*1]
        0x48, 0x89, 0x44, 0xd5, 0x08,              // 03e: mov    QWORD PTR [rbp+rdx*8+0x8],rax
        0x8d, 0x41, 0xff,                          // 043: lea    eax,[rcx-0x1]  ; clear the lowest bit
        0x21, 0xc1,                                // 046: and    ecx,eax
        0xeb, 0xe6,                                // 048: jmp    0x30  ; resolve
        0x48, 0x8b, 0x45, 0x00,                    // 04a: mov    rax,QWORD PTR [rbp+0x0]  ; call: the number
        0x48, 0x8b, 0x7d, 0x08,                    // 04e: mov    rdi,QWORD PTR [rbp+0x8]
        0x48, 0x8b, 0x75, 0x10,                    // 052: mov    rsi,QWORD PTR [rbp+0x10]
        0x48, 0x8b, 0x55, 0x18,                    // 056: mov    rdx,QWORD PTR [rbp+0x18]
        0x4c, 0x8b, 0x55, 0x20,                    // 05a: mov    r10,QWORD PTR [rbp+0x20]
        0x4c, 0x8b, 0x45, 0x28,                    // 05e: mov    r8,QWORD PTR [rbp+0x28]
        0x4c, 0x8b, 0x4d, 0x30,                    // 062: mov    r9,QWORD PTR [rbp+0x30]
        0x0f, 0x05,                                // 066: syscall
        0x48, 0x89, 0x45, 0x38,                    // 068: mov    QWORD PTR [rbp+0x38],rax  ; the result
        0x48, 0x85, 0xc0,                          // 06c: test   rax,rax
        0x79, 0x21,                                // 06f: jns    0x92  ; advance
        0xf7, 0xd8,                                // 071: neg    eax  ; an errno: is it tolerated?
        0x3b, 0x45, 0x44,                          // 073: cmp    eax,DWORD PTR [rbp+0x44]
        0x74, 0x1a,                                // 076: je     0x92  ; advance
        0x3b, 0x45, 0x48,                          // 078: cmp    eax,DWORD PTR [rbp+0x48]
        0x74, 0x15,                                // 07b: je     0x92  ; advance
        0x48, 0x29, 0xdd,                          // 07d: sub    rbp,rbx  ; no: record which entry failed
        0x48, 0x89, 0x6b, 0x20,                    // 080: mov    QWORD PTR [rbx+0x20],rbp
        0xbf, 0x7f, 0x00, 0x00, 0x00,              // 084: mov    edi,0x7f  ; leave: exit_group(127)
        0xb8, 0xe7, 0x00, 0x00, 0x00,              // 089: mov    eax,0xe7
        0x0f, 0x05,                                // 08e: syscall
        0x0f, 0x0b,                                // 090: ud2
        0x48, 0x83, 0xc5, 0x50,                    // 092: add    rbp,0x50  ; advance: to the next entry
        0xeb, 0x90,                                // 096: jmp    0x28  ; next
        0x48, 0x8b, 0x5b, 0x08,                    // 098: mov    rbx,QWORD PTR [rbx+0x8]  ; end: all done; is this a host?
        0x48, 0x85, 0xdb,                          // 09c: test   rbx,rbx
        0x74, 0xe3,                                // 09f: je     0x84  ; no: leave
        0x8b, 0x93, 0x80, 0x00, 0x00, 0x00,        // 0a1: mov    edx,DWORD PTR [rbx+0x80]  ; serve: whose turn is it?
        0x83, 0xfa, 0x01,                          // 0a7: cmp    edx,0x1
        0x74, 0x24,                                // 0aa: je     0xd0  ; order
        0xb8, 0x6e, 0x00, 0x00, 0x00,              // 0ac: mov    eax,0x6e  ; getppid
        0x0f, 0x05,                                // 0b1: syscall
        0x3b, 0x83, 0x9c, 0x00, 0x00, 0x00,        // 0b3: cmp    eax,DWORD PTR [rbx+0x9c]
        0x75, 0xc9,                                // 0b9: jne    0x84  ; orphaned: leave
        0x48, 0x8d, 0xbb, 0x80, 0x00, 0x00, 0x00,  // 0bb: lea    rdi,[rbx+0x80]  ; futex(FUTEX_WAIT)
        0x31, 0xf6,                                // 0c2: xor    esi,esi
        0x45, 0x31, 0xd2,                          // 0c4: xor    r10d,r10d
        0xb8, 0xca, 0x00, 0x00, 0x00,              // 0c7: mov    eax,0xca
        0x0f, 0x05,                                // 0cc: syscall
        0xeb, 0xd1,                                // 0ce: jmp    0xa1  ; serve
        0x8b, 0xbb, 0x84, 0x00, 0x00, 0x00,        // 0d0: mov    edi,DWORD PTR [rbx+0x84]  ; order: the pid namespace of the child
        0x85, 0xff,                                // 0d6: test   edi,edi
        0x78, 0x18,                                // 0d8: js     0xf2  ; clone
        0xbe, 0x00, 0x00, 0x00, 0x20,              // 0da: mov    esi,0x20000000  ; CLONE_NEWPID
        0xb8, 0x34, 0x01, 0x00, 0x00,              // 0df: mov    eax,0x134  ; setns
        0x0f, 0x05,                                // 0e4: syscall
        0x48, 0x89, 0x83, 0x90, 0x00, 0x00, 0x00,  // 0e6: mov    QWORD PTR [rbx+0x90],rax
        0x48, 0x85, 0xc0,                          // 0ed: test   rax,rax
        0x75, 0x45,                                // 0f0: jne    0x137  ; answer
        0x48, 0x8d, 0x7b, 0x28,                    // 0f2: lea    rdi,[rbx+0x28]  ; clone:
        0xbe, 0x58, 0x00, 0x00, 0x00,              // 0f6: mov    esi,0x58
        0xb8, 0xb3, 0x01, 0x00, 0x00,              // 0fb: mov    eax,0x1b3
        0x0f, 0x05,                                // 100: syscall
        0x48, 0x85, 0xc0,                          // 102: test   rax,rax
        0x0f, 0x84, 0x15, 0xff, 0xff, 0xff,        // 105: je     0x20  ; the child: walk
        0x48, 0x89, 0x83, 0x88, 0x00, 0x00, 0x00,  // 10b: mov    QWORD PTR [rbx+0x88],rax
        0x8b, 0xbb, 0x84, 0x00, 0x00, 0x00,        // 112: mov    edi,DWORD PTR [rbx+0x84]
        0x85, 0xff,                                // 118: test   edi,edi
        0x78, 0x1b,                                // 11a: js     0x137  ; answer
        0x8b, 0xbb, 0x98, 0x00, 0x00, 0x00,        // 11c: mov    edi,DWORD PTR [rbx+0x98]  ; back to its own
        0xbe, 0x00, 0x00, 0x00, 0x20,              // 122: mov    esi,0x20000000
        0xb8, 0x34, 0x01, 0x00, 0x00,              // 127: mov    eax,0x134
        0x0f, 0x05,                                // 12c: syscall
        0x48, 0x85, 0xc0,                          // 12e: test   rax,rax
        0x0f, 0x85, 0x4d, 0xff, 0xff, 0xff,        // 131: jne    0x84  ; leave
        0xc7, 0x83, 0x80, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00,// 137: mov    DWORD PTR [rbx+0x80],0x2  ; answer:
        0x48, 0x8d, 0xbb, 0x80, 0x00, 0x00, 0x00,  // 141: lea    rdi,[rbx+0x80]
        0xbe, 0x01, 0x00, 0x00, 0x00,              // 148: mov    esi,0x1
        0x89, 0xf2,                                // 14d: mov    edx,esi
        0xb8, 0xca, 0x00, 0x00, 0x00,              // 14f: mov    eax,0xca  ; futex(FUTEX_WAKE)
        0x0f, 0x05,                                // 154: syscall
        0xe9, 0x46, 0xff, 0xff, 0xff,              // 156: jmp    0xa1  ; serve
    ];

    // AAPCS64: the argument is in x0. System calls keep all registers but x0.
    public static ReadOnlySpan<byte> Arm64 =>
    [
        0x5f, 0x24, 0x03, 0xd5,   // 000: bti c
        0xe9, 0x03, 0x00, 0xaa,   // 004: mov x9, x0  ; the header; clone3 preserves x9 in parent and child
        0x20, 0xa1, 0x00, 0x91,   // 008: add x0, x9, #0x28  ; its clone_args
        0x01, 0x0b, 0x80, 0xd2,   // 00c: mov x1, #0x58  ; sizeof(struct clone_args) with cgroup
        0x68, 0x36, 0x80, 0xd2,   // 010: mov x8, #0x1b3  ; clone3
        0x01, 0x00, 0x00, 0xd4,   // 014: svc #0x0
        0x40, 0x00, 0x00, 0xb4,   // 018: cbz x0, 0x20  ; child
        0xc0, 0x03, 0x5f, 0xd6,   // 01c: ret  ; the parent: the pid or -errno
        0xf3, 0x03, 0x09, 0xaa,   // 020: mov x19, x9  ; child:
        0x74, 0x56, 0x41, 0xa9,   // 024: ldp x20, x21, [x19, #16]  ; walk: the first entry and the end of entries
        0x9f, 0x02, 0x15, 0xeb,   // 028: cmp x20, x21  ; next:
        0x22, 0x04, 0x00, 0x54,   // 02c: b.cs 0xb0  ; end
        0x96, 0x42, 0x40, 0xb9,   // 030: ldr w22, [x20, #64]  ; which arguments are results
        0x56, 0x01, 0x00, 0x34,   // 034: cbz w22, 0x5c  ; resolve: none left, call
        0xc9, 0x02, 0xc0, 0x5a,   // 038: rbit w9, w22  ; the lowest of them
        0x29, 0x11, 0xc0, 0x5a,   // 03c: clz w9, w9
        0x8a, 0x0e, 0x09, 0x8b,   // 040: add x10, x20, x9, lsl #3
        0x4b, 0x05, 0x40, 0xf9,   // 044: ldr x11, [x10, #8]  ; the offset of the result
        0x6b, 0x6a, 0x6b, 0xf8,   // 048: ldr x11, [x19, x11]
        0x4b, 0x05, 0x00, 0xf9,   // 04c: str x11, [x10, #8]
        0xcc, 0x06, 0x00, 0x51,   // 050: sub w12, w22, #0x1  ; clear the lowest bit
        0xd6, 0x02, 0x0c, 0x0a,   // 054: and w22, w22, w12
        0xf7, 0xff, 0xff, 0x17,   // 058: b 0x34  ; resolve
        0x88, 0x02, 0x40, 0xf9,   // 05c: ldr x8, [x20]  ; call: the number
        0x80, 0x86, 0x40, 0xa9,   // 060: ldp x0, x1, [x20, #8]
        0x82, 0x8e, 0x41, 0xa9,   // 064: ldp x2, x3, [x20, #24]
        0x84, 0x96, 0x42, 0xa9,   // 068: ldp x4, x5, [x20, #40]
        0x01, 0x00, 0x00, 0xd4,   // 06c: svc #0x0
        0x80, 0x1e, 0x00, 0xf9,   // 070: str x0, [x20, #56]  ; the result
        0xa0, 0x01, 0xf8, 0xb6,   // 074: tbz x0, #63, 0xa8  ; advance
        0xe0, 0x03, 0x00, 0x4b,   // 078: neg w0, w0  ; an errno: is it tolerated?
        0x89, 0xaa, 0x48, 0x29,   // 07c: ldp w9, w10, [x20, #68]
        0x1f, 0x00, 0x09, 0x6b,   // 080: cmp w0, w9
        0x20, 0x01, 0x00, 0x54,   // 084: b.eq 0xa8  ; advance
        0x1f, 0x00, 0x0a, 0x6b,   // 088: cmp w0, w10
        0xe0, 0x00, 0x00, 0x54,   // 08c: b.eq 0xa8  ; advance
        0x94, 0x02, 0x13, 0xcb,   // 090: sub x20, x20, x19  ; no: record which entry failed
        0x74, 0x12, 0x00, 0xf9,   // 094: str x20, [x19, #32]
        0xe0, 0x0f, 0x80, 0x52,   // 098: mov w0, #0x7f  ; leave: exit_group(127)
        0xc8, 0x0b, 0x80, 0xd2,   // 09c: mov x8, #0x5e
        0x01, 0x00, 0x00, 0xd4,   // 0a0: svc #0x0
        0x00, 0x00, 0x20, 0xd4,   // 0a4: brk #0x0
        0x94, 0x42, 0x01, 0x91,   // 0a8: add x20, x20, #0x50  ; advance: to the next entry
        0xdf, 0xff, 0xff, 0x17,   // 0ac: b 0x28  ; next
        0x73, 0x06, 0x40, 0xf9,   // 0b0: ldr x19, [x19, #8]  ; end: all done; is this a host?
        0x33, 0xff, 0xff, 0xb4,   // 0b4: cbz x19, 0x98  ; no: leave
        0x77, 0x02, 0x02, 0x91,   // 0b8: add x23, x19, #0x80  ; serve:
        0xe2, 0xfe, 0xdf, 0x88,   // 0bc: ldar w2, [x23]  ; whose turn is it?
        0x5f, 0x04, 0x00, 0x71,   // 0c0: cmp w2, #0x1
        0x80, 0x01, 0x00, 0x54,   // 0c4: b.eq 0xf4  ; order
        0xa8, 0x15, 0x80, 0xd2,   // 0c8: mov x8, #0xad  ; getppid
        0x01, 0x00, 0x00, 0xd4,   // 0cc: svc #0x0
        0x69, 0x9e, 0x40, 0xb9,   // 0d0: ldr w9, [x19, #156]
        0x1f, 0x00, 0x09, 0x6b,   // 0d4: cmp w0, w9
        0x01, 0xfe, 0xff, 0x54,   // 0d8: b.ne 0x98  ; orphaned: leave
        0xe0, 0x03, 0x17, 0xaa,   // 0dc: mov x0, x23
        0x01, 0x00, 0x80, 0xd2,   // 0e0: mov x1, #0x0
        0x03, 0x00, 0x80, 0xd2,   // 0e4: mov x3, #0x0
        0x48, 0x0c, 0x80, 0xd2,   // 0e8: mov x8, #0x62  ; futex(FUTEX_WAIT)
        0x01, 0x00, 0x00, 0xd4,   // 0ec: svc #0x0
        0xf2, 0xff, 0xff, 0x17,   // 0f0: b 0xb8  ; serve
        0x60, 0x86, 0x40, 0xb9,   // 0f4: ldr w0, [x19, #132]  ; order: the pid namespace of the child
        0xc0, 0x00, 0xf8, 0x37,   // 0f8: tbnz w0, #31, 0x110  ; clone
        0x01, 0x00, 0xa4, 0xd2,   // 0fc: mov x1, #0x20000000  ; CLONE_NEWPID
        0x88, 0x21, 0x80, 0xd2,   // 100: mov x8, #0x10c  ; setns
        0x01, 0x00, 0x00, 0xd4,   // 104: svc #0x0
        0x60, 0x4a, 0x00, 0xf9,   // 108: str x0, [x19, #144]
        0xc0, 0x01, 0x00, 0xb5,   // 10c: cbnz x0, 0x144  ; answer
        0x60, 0xa2, 0x00, 0x91,   // 110: add x0, x19, #0x28  ; clone:
        0x01, 0x0b, 0x80, 0xd2,   // 114: mov x1, #0x58
        0x68, 0x36, 0x80, 0xd2,   // 118: mov x8, #0x1b3
        0x01, 0x00, 0x00, 0xd4,   // 11c: svc #0x0
        0x20, 0xf8, 0xff, 0xb4,   // 120: cbz x0, 0x24  ; the child: walk
        0x60, 0x46, 0x00, 0xf9,   // 124: str x0, [x19, #136]
        0x60, 0x86, 0x40, 0xb9,   // 128: ldr w0, [x19, #132]
        0xc0, 0x00, 0xf8, 0x37,   // 12c: tbnz w0, #31, 0x144  ; answer
        0x60, 0x9a, 0x40, 0xb9,   // 130: ldr w0, [x19, #152]  ; back to its own
        0x01, 0x00, 0xa4, 0xd2,   // 134: mov x1, #0x20000000
        0x88, 0x21, 0x80, 0xd2,   // 138: mov x8, #0x10c
        0x01, 0x00, 0x00, 0xd4,   // 13c: svc #0x0
        0xc0, 0xfa, 0xff, 0xb5,   // 140: cbnz x0, 0x98  ; leave
        0x42, 0x00, 0x80, 0x52,   // 144: mov w2, #0x2  ; answer:
        0xe2, 0xfe, 0x9f, 0x88,   // 148: stlr w2, [x23]
        0xe0, 0x03, 0x17, 0xaa,   // 14c: mov x0, x23
        0x21, 0x00, 0x80, 0xd2,   // 150: mov x1, #0x1
        0x22, 0x00, 0x80, 0xd2,   // 154: mov x2, #0x1
        0x48, 0x0c, 0x80, 0xd2,   // 158: mov x8, #0x62  ; futex(FUTEX_WAKE)
        0x01, 0x00, 0x00, 0xd4,   // 15c: svc #0x0
        0xd6, 0xff, 0xff, 0x17,   // 160: b 0xb8  ; serve
    ];

    private static nint Map()
    {
        ReadOnlySpan<byte> code = RuntimeInformation.ProcessArchitecture switch
        {
            Architecture.X64 => X64,
            Architecture.Arm64 => Arm64,
            Architecture other => throw new PlatformNotSupportedException($"Slipway launches containers on x86-64 and arm64, not on {other}"),
        };

        nuint length = MappedBytes;
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
