using Slipway.Kernel.Files;
using Slipway.Runtime.Compilation;
using Xunit;

namespace Slipway.Tests.Unit.Files;

public sealed class UserLookupTests : IDisposable
{
    private readonly ScratchDirectory _scratch = new();
    private readonly RootDirectory _root;

    public UserLookupTests()
    {
        _root = _scratch.Root("root");
        Directory.CreateDirectory(_scratch["root/etc"]);
        File.WriteAllText(_scratch["root/etc/passwd"], """
            root:x:0:0:root:/root:/bin/sh
            # a comment
            broken line
            web:x:33:44:Web:/var/www:/bin/false
            1234:x:77:78::/home/number:/bin/sh
            huge:x:4294967296:0::/:/bin/sh
            homeless:x:99:99:::/bin/sh
            """);
        File.WriteAllText(_scratch["root/etc/group"], """
            root:x:0:root
            bin:x:1:root,web
            staff:x:50:
            huge:x:99999999999:nobody
            """);
    }

    public void Dispose()
    {
        _root.Dispose();
        _scratch.Dispose();
    }

    [Theory]
    [InlineData("", 0u, 0u, "0,1", "/root")]
    [InlineData("root", 0u, 0u, "0,1", "/root")]
    [InlineData("0", 0u, 0u, "0,1", "/root")]
    [InlineData("web", 33u, 44u, "44,1", "/var/www")]
    [InlineData("33", 33u, 44u, "44,1", "/var/www")]
    [InlineData("web:staff", 33u, 50u, "50", "/var/www")]
    [InlineData("web:99", 33u, 99u, "99", "/var/www")]
    [InlineData("web:", 33u, 44u, "44,1", "/var/www")]
    [InlineData("5000", 5000u, 0u, "0", "/")]
    [InlineData("5000:5001", 5000u, 5001u, "5001", "/")]
    [InlineData("1234", 77u, 78u, "78", "/home/number")]
    [InlineData("homeless", 99u, 99u, "99", "/")]
    [InlineData("2147483647", 2147483647u, 0u, "0", "/")]
    public void Users_are_found(string user, uint uid, uint gid, string groups, string home)
    {
        ResolvedUser found = UserLookup.Resolve(_root, user, []);
        Assert.Equal((uid, gid, groups, home), (found.Uid, found.Gid, string.Join(',', found.AdditionalGids), found.Home));
    }

    [Fact]
    public void Groups_are_added_by_name_and_number() =>
        Assert.Equal([44u, 1u, 50u, 7u], UserLookup.Resolve(_root, "web", ["staff", "7", "bin"]).AdditionalGids);

    [Theory]
    [InlineData("nosuch", "unable to find user nosuch: no matching entries in passwd file")]
    [InlineData("root:nosuch", "unable to find group nosuch: no matching entries in group file")]
    [InlineData("0x0", "unable to find user 0x0: no matching entries in passwd file")]
    [InlineData("+1", "unable to find user +1: no matching entries in passwd file")]
    [InlineData(" 1", "unable to find user  1: no matching entries in passwd file")]
    public void Unknown_names_are_refused_in_dockers_words(string user, string message) =>
        Assert.Equal(message, Assert.Throws<PlanException>(() => UserLookup.Resolve(_root, user, [])).Message);

    [Theory]
    [InlineData("4294967296")]
    [InlineData("2147483648")]
    [InlineData("4294967295")]
    [InlineData("-1")]
    [InlineData("0:-1")]
    [InlineData("0:4294967296")]
    [InlineData("18446744073709551616")]
    [InlineData("huge")]
    [InlineData("root:huge")]
    public void CVE_2024_40635_CVE_2026_46680_numbers_that_would_wrap_around_are_refused(string user) =>
        Assert.Equal("uids and gids must be in range 0-2147483647", Assert.Throws<PlanException>(() => UserLookup.Resolve(_root, user, [])).Message);

    [Fact]
    public void An_unknown_additional_group_is_refused() =>
        Assert.Equal("Unable to find group nosuch: no matching entries in group file", Assert.Throws<PlanException>(() => UserLookup.Resolve(_root, "root", ["nosuch"])).Message);

    [Fact]
    public void An_image_without_files_has_numbers_only()
    {
        using RootDirectory empty = _scratch.Root("empty");
        Assert.Equal(7u, UserLookup.Resolve(empty, "7", []).Uid);
        Assert.Throws<PlanException>(() => UserLookup.Resolve(empty, "root", []));
    }

    [Theory]
    [InlineData("passwd", 2L << 30)]
    [InlineData("group", 2L << 30)]
    public void CVE_2026_47262_a_huge_file_is_refused_without_reading_it(string name, long size)
    {
        using (FileStream file = File.Create(_scratch[$"root/etc/{name}"]))
        {
            file.SetLength(size);
        }

        if (name == "group")
        {
            Assert.Equal(1000u, UserLookup.Resolve(_root, "1000", []).Uid); // Nobody asked for groups.
        }

        long before = GC.GetAllocatedBytesForCurrentThread();
        var error = Assert.Throws<PlanException>(() => UserLookup.Resolve(_root, "web", []));
        Assert.Equal($"/etc/{name} of the image is larger than 4194304 bytes", error.Message);
        Assert.True(GC.GetAllocatedBytesForCurrentThread() - before < 1 << 20);
    }

    [Fact]
    public void CVE_2026_47262_an_endless_line_ends_at_the_cap()
    {
        File.WriteAllText(_scratch["root/etc/group"], "bin:x:1:" + new string('a', 5 << 20));
        Assert.Throws<PlanException>(() => UserLookup.Resolve(_root, "web", []));
    }

    [Fact]
    public void CVE_2026_47262_a_device_or_fifo_is_not_opened()
    {
        File.Delete(_scratch["root/etc/passwd"]);
        DirectoryEntry.CreateNode(_root.Descriptor, "pipe", FileType.Fifo, 0x1B6);
        File.CreateSymbolicLink(_scratch["root/etc/passwd"], "/pipe");
        Assert.Contains("no regular file", Assert.Throws<PlanException>(() => UserLookup.Resolve(_root, "web", [])).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_link_to_the_hosts_file_is_not_followed_out()
    {
        File.WriteAllText(_scratch["outside"], "evil:x:0:0::/:/bin/sh\n");
        File.Delete(_scratch["root/etc/passwd"]);
        File.CreateSymbolicLink(_scratch["root/etc/passwd"], _scratch["outside"]);
        Assert.Throws<PlanException>(() => UserLookup.Resolve(_root, "evil", []));
    }
}
