using Slipway.Engine;
using Slipway.Engine.Users;
using Slipway.Kernel.Users;
using Xunit;

namespace Slipway.Tests.Unit.Users;

/// <summary>Id maps, and the files of the host they are made of.</summary>
public sealed class SubordinateIdsTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("slipway-subid-").FullName;

    public SubordinateIdsTests()
    {
        Put("passwd", "root:x:0:0:root:/root:/bin/sh\nslip:x:901:902::/:/bin/false\n");
        Put("group", "root:x:0:\nslip:x:902:\nothers:x:903:\n");
        Put("subuid", "# comment\nslip:100000:1000\nother:200000:65536\nslip:300000:500\n");
        Put("subgid", "902:400000:1500\nothers:500000:65536\nslip:600000:10\n");
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Ranges_of_one_user_follow_each_other_inside()
    {
        IdMap map = SubordinateIds.Find(File.ReadAllText(Path.Combine(_folder, "subuid")), "slip", "901")!;
        Assert.Equal([new IdRange(0, 100000, 1000), new IdRange(1000, 300000, 500)], map.Ranges);
        Assert.Equal(300001u, map.Outside(1001));
        Assert.Equal(1001u, map.Inside(300001));
        Assert.Null(map.Outside(1500));
        Assert.Null(map.Inside(0));
        Assert.Equal("0 100000 1000\n1000 300000 500\n", map.ToString());
        Assert.Equal(map.Ranges, IdMap.Parse("         0     100000       1000\n      1000     300000        500\n").Ranges);
    }

    [Theory]
    [InlineData("slip", 100000u, 600000u)]
    [InlineData("901", 100000u, 600000u)]
    [InlineData("slip:others", 100000u, 500000u)]
    [InlineData("901:903", 100000u, 500000u)]
    public void Users_and_groups_are_named_as_in_Docker(string setting, uint user, uint group)
    {
        IdMaps maps = UserRemap.Resolve(setting, _folder)!;
        Assert.Equal((user, group), maps.Root);
    }

    [Theory]
    [InlineData("nobody-here", "no such user")]
    [InlineData("77", "user id 77 has no entry")]
    [InlineData("slip:nobody", "no such group")]
    [InlineData("slip:a:b", "Invalid user/group specification")]
    [InlineData("slip:", "Invalid user/group specification")]
    [InlineData("root", "root cannot be remapped with itself")]
    [InlineData("slip:root", "no subgid ranges found for group \"root\"")]
    public void What_cannot_be_meant_is_an_error(string setting, string message) =>
        Assert.Contains(message, Assert.Throws<EngineException>(() => UserRemap.Resolve(setting, _folder)).Message, StringComparison.Ordinal);

    [Fact]
    public void Nothing_said_is_nothing_remapped() => Assert.Null(UserRemap.Resolve("", "/nonexistent"));

    [Theory]
    [InlineData("slip:100000\n")]
    [InlineData("slip:-1:5\n")]
    [InlineData("slip:1:99999999999\n")]
    [InlineData("slip:4294967290:10\n")]
    [InlineData("slip:100000:10\nslip:100005:10\n")]
    public void Ids_that_wrap_around_or_overlap_are_refused(string file)
    {
        Put("subuid", file);
        Assert.Throws<EngineException>(() => UserRemap.Resolve("slip", _folder));
    }

    [Fact]
    public void The_default_user_gets_ids_that_nobody_has_and_keeps_them()
    {
        Put("subuid", "a:100000:65536\nb:165536:10");
        Put("subgid", "");
        IdMaps first = UserRemap.Resolve("default", _folder)!;
        Assert.Equal((165546u, 100000u), first.Root);
        Assert.Equal("a:100000:65536\nb:165536:10\ndockremap:165546:65536\n", File.ReadAllText(Path.Combine(_folder, "subuid")));
        Assert.Equal(first.Root, UserRemap.Resolve("default", _folder)!.Root);
        Assert.Equal(["group", "passwd", "subgid", "subuid"], Directory.EnumerateFiles(_folder).Select(Path.GetFileName).Order());
    }

    [Fact]
    public void A_map_is_of_bounded_length()
    {
        Assert.Throws<ArgumentException>(() => new IdMap([]));
        Assert.Throws<ArgumentException>(() => new IdMap([.. Enumerable.Range(0, IdMap.MaximumRanges + 1).Select(i => new IdRange((uint)i, (uint)i, 1))]));
        Assert.Throws<ArgumentException>(() => new IdMap([new IdRange(0, 0, 10), new IdRange(5, 100, 10)]));
        Assert.Throws<ArgumentException>(() => new IdMap([new IdRange(1, 0, uint.MaxValue)]));
    }

    private void Put(string name, string text) => File.WriteAllText(Path.Combine(_folder, name), text);
}
