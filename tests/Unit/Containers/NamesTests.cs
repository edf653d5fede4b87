using Slipway.Engine;
using Slipway.Engine.Containers;
using Slipway.Engine.Containers.State;
using Xunit;

namespace Slipway.Tests.Unit.Containers;

public sealed class NamesTests
{
    [Theory]
    [InlineData("web", "web")]
    [InlineData("/web", "web")]
    [InlineData("a0", "a0")]
    [InlineData("A_.-z", "A_.-z")]
    public void Valid(string text, string name) => Assert.Equal(name, ContainerNames.Parse(text));

    [Theory]
    [InlineData("x")]
    [InlineData("")]
    [InlineData("-ab")]
    [InlineData("a b")]
    [InlineData("a/b")]
    [InlineData("é1")]
    [InlineData("../x")]
    [InlineData("a\0b")]
    public void Invalid(string text)
    {
        EngineException exception = Assert.Throws<EngineException>(() => ContainerNames.Parse(text));
        Assert.Equal(ErrorKind.InvalidParameter, exception.Kind);
        Assert.Equal($"Invalid container name ({text}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed", exception.Message);
    }

    [Fact]
    public void Random_names_are_valid_and_vary()
    {
        string[] names = [.. Enumerable.Range(0, 200).Select(attempt => ContainerNames.Random(attempt % 12))];
        Assert.All(names, name => Assert.Equal(name, ContainerNames.Parse(name)));
        Assert.True(names.Distinct().Count() > 100);
    }

    [Fact]
    public void References_are_ids_names_and_unique_prefixes()
    {
        ContainerIndex index = new();
        Container first = Add(index, "aa11" + new string('0', 60), "one");
        Container second = Add(index, "aa22" + new string('0', 60), "two");

        // A name wins over a prefix.
        Container third = Add(index, "bb33" + new string('0', 60), "aa1");
        Assert.Same(first, index.Resolve(first.Id));
        Assert.Same(first, index.Resolve("one"));
        Assert.Same(first, index.Resolve("/one"));
        Assert.Same(second, index.Resolve("aa2"));
        Assert.Same(third, index.Resolve("aa1"));
        Assert.Same(third, index.Resolve("b"));
        Assert.Equal("multiple IDs found with provided prefix: aa", Assert.Throws<EngineException>(() => index.Resolve("aa")).Message);
        EngineException missing = Assert.Throws<EngineException>(() => index.Resolve("cc"));
        Assert.Equal((ErrorKind.NotFound, "No such container: cc"), (missing.Kind, missing.Message));
        Assert.Equal(ErrorKind.InvalidParameter, Assert.Throws<EngineException>(() => index.Resolve("")).Kind);
        index.Remove(first);
        Assert.Same(second, index.Resolve("aa"));
        Assert.Equal(ErrorKind.NotFound, Assert.Throws<EngineException>(() => index.Resolve("aa11")).Kind);
    }

    [Fact]
    public void A_name_has_one_owner_and_is_free_after_it()
    {
        ContainerIndex index = new();
        Container container = Add(index, new string('a', 64), "name");
        EngineException taken = Assert.Throws<EngineException>(() => index.Reserve("name", new string('b', 64)));
        Assert.Equal(ErrorKind.Conflict, taken.Kind);
        index.Remove(container);
        index.Reserve("name", new string('b', 64));
    }

    [Fact]
    public void Ids_are_hexadecimal_and_their_short_form_is_no_number()
    {
        for (int i = 0; i < 1000; i++)
        {
            string id = Identifiers.New();
            Assert.Equal(64, id.Length);
            Assert.All(id, c => Assert.True(char.IsAsciiHexDigitLower(c)));
            Assert.Contains(id[..12], char.IsAsciiLetterLower);
        }
    }

    private static Container Add(ContainerIndex index, string id, string name)
    {
        Container container = new(new ContainerSnapshot
        {
            Id = id,
            Name = name,
            Created = DateTimeOffset.UnixEpoch,
            ImageId = "sha256:0",
            Config = new(),
            HostConfig = new(),
            Mounts = [],
            RequestedEndpoints = new Dictionary<string, Slipway.Api.Containers.EndpointSettings?>(),
            State = new(),
        });
        index.Reserve(name, id);
        index.Add(container);
        return container;
    }
}
