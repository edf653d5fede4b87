using System.Reflection;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Slipway.Api;
using Slipway.Api.Containers;
using Slipway.Api.Exec;
using Slipway.Api.Networks;
using Slipway.Api.Registries;
using Slipway.Api.Secrets;
using Slipway.Api.Volumes;
using Xunit;

namespace Slipway.Tests.Unit.Api;

/// <summary>Go's decoder leaves a field alone for which a client sends <c>null</c>; here no field that has to have a value may be without one.</summary>
public sealed class RequestJsonTests
{
    public static TheoryData<Type> Requests { get; } =
    [
        typeof(ContainerCreateRequest), typeof(ContainerUpdateRequest), typeof(ContainerConfig), typeof(CheckpointCreateRequest), typeof(ExecCreateRequest), typeof(ExecStartRequest),
        typeof(NetworkCreateRequest), typeof(NetworkConnectRequest), typeof(NetworkDisconnectRequest), typeof(VolumeCreateRequest), typeof(VolumeCopyRequest), typeof(AuthConfig), typeof(SecretSpec),
    ];

    [Theory]
    [MemberData(nameof(Requests))]
    public void Fields_that_are_null_are_as_if_not_sent(Type request)
    {
        foreach (Type type in Within(request))
        {
            PropertyInfo[] fields = [.. type.GetProperties().Where(field => field.SetMethod is not null && Info(type).Properties.Any(known => known.Name == field.Name))];
            object read = JsonSerializer.Deserialize("{" + string.Join(",", fields.Select(field => $"\"{field.Name}\":null")) + "}", Info(type))!;
            foreach (PropertyInfo field in fields.Where(field => new NullabilityInfoContext().Create(field).ReadState == NullabilityState.NotNull))
            {
                Assert.True(field.GetValue(read) is not null, $"{type.Name}.{field.Name}");
            }
        }
    }

    [Fact]
    public void What_stays_is_the_field_s_own_default()
    {
        NetworkCreateRequest read = JsonSerializer.Deserialize("""{"Name":"n","Driver":null,"Options":null}""", RequestJson.Of<NetworkCreateRequest>())!;
        Assert.Equal(("n", "", null), (read.Name, read.Driver, read.Options));
        Assert.Equal("", JsonSerializer.Deserialize("""{"RestartPolicy":{"Name":null}}""", RequestJson.Of<HostConfig>())!.RestartPolicy!.Name);
    }

    [Fact]
    public void Texts_of_a_dictionary_that_are_null_are_empty() =>
        Assert.Equal("", JsonSerializer.Deserialize("""{"Labels":{"a":null}}""", RequestJson.Of<ContainerConfig>())!.Labels!["a"]);

    private static JsonTypeInfo Info(Type type) => (JsonTypeInfo)typeof(RequestJson).GetMethod(nameof(RequestJson.Of))!.MakeGenericMethod(type).Invoke(null, [])!;

    /// <summary>The type and all objects that it is made of.</summary>
    private static HashSet<Type> Within(Type request)
    {
        HashSet<Type> found = [];
        Stack<Type> left = new([request]);
        while (left.TryPop(out Type? type))
        {
            JsonTypeInfo info = Info(type);
            if (info.Kind is JsonTypeInfoKind.Enumerable or JsonTypeInfoKind.Dictionary)
            {
                left.Push(info.ElementType!);
            }
            else if (info.Kind == JsonTypeInfoKind.Object && found.Add(type))
            {
                foreach (JsonPropertyInfo field in info.Properties)
                {
                    left.Push(field.PropertyType);
                }
            }
        }

        return found;
    }
}
