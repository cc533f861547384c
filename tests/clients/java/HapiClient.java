import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.model.api.Include;
import ca.uhn.fhir.rest.annotation.*;
import ca.uhn.fhir.rest.api.*;
import ca.uhn.fhir.rest.client.api.*;
import ca.uhn.fhir.rest.client.apache.GZipContentInterceptor;
import ca.uhn.fhir.rest.client.interceptor.BearerTokenAuthInterceptor;
import ca.uhn.fhir.rest.gclient.StringClientParam;
import ca.uhn.fhir.rest.param.*;
import ca.uhn.fhir.rest.server.exceptions.*;
import ca.uhn.fhir.util.BundleBuilder;
import ca.uhn.fhir.util.BundleUtil;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.charset.StandardCharsets;
import java.util.*;
import java.util.stream.*;
import org.hl7.fhir.r4.model.*;

/** HAPI's own client, as its documentation uses it. One line of JSON per story: its name, and what went wrong or null.
 *  https://hapifhir.io/hapi-fhir/docs/client/generic_client.html */
public class HapiClient {
  static { ((ch.qos.logback.classic.Logger) org.slf4j.LoggerFactory.getLogger("ROOT")).setLevel(ch.qos.logback.classic.Level.OFF); }

  static final String BASE = System.getenv("FHIR_BASE"), TOKEN = System.getenv("FHIR_TOKEN"), MARK = System.getenv("MARK");
  static final String MRN = "urn:test", LOINC = "http://loinc.org", UCUM = "http://unitsofmeasure.org";
  static final FhirContext CONTEXT = FhirContext.forR4Cached();
  static final IGenericClient client = signedIn(CONTEXT.newRestfulGenericClient(BASE));

  interface Story { void tell() throws Exception; }

  /** The client that one declares. https://hapifhir.io/hapi-fhir/docs/client/annotation_client.html */
  interface Declared extends IBasicClient {
    @Read Patient read(@IdParam IdType id);
    @Search List<Patient> find(@RequiredParam(name = "identifier") TokenParam identifier);
    @Create MethodOutcome create(@ResourceParam Patient patient);
    @Update MethodOutcome update(@IdParam IdType id, @ResourceParam Patient patient);
    @Delete(type = Patient.class) MethodOutcome delete(@IdParam IdType id);
  }

  /** The client knows no merge patch, but sends what it is given. */
  static class Merging implements IClientInterceptor {
    public void interceptRequest(IHttpRequest request) {
      request.removeHeaders("Content-Type");
      request.addHeader("Content-Type", "application/merge-patch+json");
    }
    public void interceptResponse(IHttpResponse response) {}
  }

  static void story(String name, Story story) throws Exception {
    String error = null;
    try { story.tell(); } catch (Throwable wrong) { error = wrong + " at " + Arrays.stream(wrong.getStackTrace()).filter(frame -> frame.getMethodName().startsWith("lambda$main")).findFirst(); }
    var line = new HashMap<String, String>();
    line.put("name", name);
    line.put("error", error);
    System.out.println(new ObjectMapper().writeValueAsString(line));
  }

  static void same(Object expected, Object actual) {
    if (!Objects.equals(expected, actual)) throw new AssertionError("expected " + expected + ", not " + actual);
  }

  static void refused(Class<? extends BaseServerResponseException> expected, Story story) throws Exception {
    try { story.tell(); } catch (BaseServerResponseException refusal) {
      same(expected, refusal.getClass());
      if (!(refusal.getOperationOutcome() instanceof OperationOutcome)) throw new AssertionError("no OperationOutcome");
      return;
    }
    throw new AssertionError("expected " + expected.getSimpleName());
  }

  static <C extends IRestfulClient> C signedIn(C client) {
    client.registerInterceptor(new BearerTokenAuthInterceptor(TOKEN));
    return client;
  }

  static Patient patient(String id) {
    var patient = new Patient().addIdentifier(new Identifier().setSystem(MRN).setValue(MARK + id)).setActive(true);
    patient.addName().setFamily("Berg" + MARK).addGiven("Ann");
    return patient.setBirthDateElement(new DateType("1980-05-17"));
  }

  static String stored(Resource resource, String id) {
    resource.setId(resource.fhirType() + "/" + MARK + id);
    return client.update().resource(resource).execute().getId().getIdPart();
  }

  static Observation glucose(String patient, int day) {
    var made = new Observation().setStatus(Observation.ObservationStatus.FINAL).setSubject(new Reference("Patient/" + patient));
    made.getCode().addCoding().setSystem(LOINC).setCode("2339-0");
    made.setEffective(new DateTimeType("2026-01-0" + day + "T10:00:00Z"));
    return made.setValue(new Quantity().setValue(100 + day).setUnit("mg/dL").setSystem(UCUM).setCode("mg/dL"));
  }

  static String of(Bundle bundle) {
    return bundle.getEntry().stream().map(entry -> entry.getResource().getIdElement().getIdPart().replace(MARK, "")).sorted().collect(Collectors.joining(" "));
  }

  static ca.uhn.fhir.rest.gclient.IQuery<Bundle> search(Class<? extends Resource> type) {
    return client.search().forResource(type).returnBundle(Bundle.class);
  }

  static Parameters change(String path, Type value) {
    var patch = new Parameters();
    var operation = patch.addParameter().setName("operation");
    operation.addPart().setName("type").setValue(new CodeType("replace"));
    operation.addPart().setName("path").setValue(new StringType(path));
    operation.addPart().setName("value").setValue(value);
    return patch;
  }

  public static void main(String[] arguments) throws Exception {
    CONTEXT.getRestfulClientFactory().setServerValidationMode(ServerValidationModeEnum.ONCE);
    CONTEXT.getRestfulClientFactory().setSocketTimeout(60_000);

    story("nobody gets in without a token", () -> {
      refused(AuthenticationException.class, () -> CONTEXT.newRestfulGenericClient(BASE).read().resource(Patient.class).withId("x").execute());
    });
    story("it looks at the capability statement once, and finds R4", () -> {
      client.forceConformanceCheck();
      same(Enumerations.FHIRVersion._4_0_1, client.capabilities().ofType(CapabilityStatement.class).execute().getFhirVersion());
    });

    var ann = stored(patient("ann").setManagingOrganization(new Reference("Organization/" + stored(new Organization().setName("Org" + MARK), "org"))), "ann");
    for (int day = 1; day <= 7; day++) stored(glucose(ann, day), "day" + day);
    var risk = new RiskAssessment().setStatus(RiskAssessment.RiskAssessmentStatus.FINAL).setSubject(new Reference("Patient/" + ann));
    risk.addPrediction().setProbability(new DecimalType("0.25"));
    stored(risk, "risk");

    story("what is created is read, changed, deleted and gone", () -> {
      var made = client.create().resource(patient("crud")).execute();
      same(true, made.getCreated());
      var id = made.getId().toUnqualifiedVersionless();
      var read = client.read().resource(Patient.class).withId(id).execute();
      same("1980-05-17", read.getBirthDateElement().getValueAsString());
      same("2", client.update().resource(read.setActive(false)).prefer(PreferReturnEnum.REPRESENTATION).execute().getId().getVersionIdPart());
      same(true, client.read().resource(Patient.class).withIdAndVersion(id.getIdPart(), "1").execute().getActive());
      same(200, client.delete().resourceById(id).execute().getResponseStatusCode());
      refused(ResourceGoneException.class, () -> client.read().resource(Patient.class).withId(id).execute());
    });
    story("what was read is written in that version only", () -> {
      var id = stored(patient("versions"), "versions");
      var first = client.read().resource(Patient.class).withId(id).execute();
      client.update().resource(first.setActive(false)).execute();
      refused(PreconditionFailedException.class, () -> client.update().resource(first.setActive(true).addName(new HumanName().setText("late"))).execute());
    });
    story("a version that is known is not sent again", () -> {
      var read = client.read().resource(Patient.class).withId(ann);
      same(null, read.ifVersionMatches("1").returnNull().execute());
    });
    story("each refusal has its exception", () -> {
      refused(ResourceNotFoundException.class, () -> client.read().resource(Patient.class).withId(MARK + "absent").execute());
      refused(UnprocessableEntityException.class, () -> client.create().resource(new Observation().setStatus(Observation.ObservationStatus.FINAL)).execute());
      refused(InvalidRequestException.class, () -> search(Patient.class).where(new StringClientParam("nonsense").matches().value("x")).execute());
      refused(ResourceVersionConflictException.class, () -> client.delete().resourceById("Patient", ann).cascade(DeleteCascadeModeEnum.DELETE).execute());
      refused(InvalidRequestException.class, () -> client.update().resource(patient("ann")).withId("Patient/a_b").execute());
      refused(MethodNotAllowedException.class, () -> client.update().resource(patient("ann")).historyRewrite().withId("Patient/" + ann + "/_history/1").execute());
    });
    story("conditions create, change, patch and delete the one that matches", () -> {
      var criterion = Patient.IDENTIFIER.exactly().systemAndIdentifier(MRN, MARK + "condition");
      var made = client.create().resource(patient("condition")).conditional().where(criterion).execute().getId();
      same(made.getIdPart(), client.create().resource(patient("condition")).conditional().where(criterion).execute().getId().getIdPart());
      same("2", client.update().resource(patient("condition").setActive(false)).conditional().where(criterion).execute().getId().getVersionIdPart());
      same("3", client.patch().withFhirPatch(change("Patient.active", new BooleanType(true))).conditional(Patient.class).where(criterion).execute().getId().getVersionIdPart());
      client.delete().resourceConditionalByType(Patient.class).where(criterion).execute();
      refused(ResourceGoneException.class, () -> client.read().resource(Patient.class).withId(made.toUnqualifiedVersionless()).execute());
    });
    story("each kind of patch changes what it says", () -> {
      var id = stored(patient("patch"), "patch");
      client.patch().withBody("[{\"op\":\"replace\",\"path\":\"/birthDate\",\"value\":\"1981-01-01\"}]").withId("Patient/" + id).execute();
      client.patch().withFhirPatch(change("Patient.active", new BooleanType(false))).withId("Patient/" + id).execute();
      var merging = signedIn(CONTEXT.newRestfulGenericClient(BASE));
      merging.registerInterceptor(new Merging());
      merging.patch().withBody("{\"gender\":\"female\"}").withId("Patient/" + id).execute();
      var patched = client.read().resource(Patient.class).withId(id).execute();
      same("1981-01-01 false female", patched.getBirthDateElement().getValueAsString() + " " + patched.getActive() + " " + patched.getGender().toCode());
      refused(UnprocessableEntityException.class, () -> client.patch().withBody("[{\"op\":\"test\",\"path\":\"/active\",\"value\":true}]").withId("Patient/" + id).execute());
    });
    story("the histories have their versions, since and at a time", () -> {
      var id = stored(patient("past"), "past");
      stored(patient("past").setActive(false), "past");
      same(2, client.history().onInstance("Patient/" + id).returnBundle(Bundle.class).execute().getEntry().size());
      var page = client.history().onInstance("Patient/" + id).returnBundle(Bundle.class).count(1).execute();
      same(1, client.loadPage().next(page).execute().getEntry().size());
      same(2, client.history().onInstance("Patient/" + id).returnBundle(Bundle.class).since(new Date(0)).execute().getEntry().size());
      same(2, client.history().onInstance("Patient/" + id).returnBundle(Bundle.class).at(new DateRangeParam(new Date(0), new Date(System.currentTimeMillis() + 60_000))).execute().getEntry().size());
      same(2, client.history().onType(Patient.class).returnBundle(Bundle.class).count(2).execute().getEntry().size());
      same(2, client.history().onServer().returnBundle(Bundle.class).count(2).execute().getEntry().size());
    });
    story("each kind of search parameter finds what it means", () -> {
      var own = Patient.FAMILY.matches().value("berg" + MARK);
      same("ann", of(search(Patient.class).where(Patient.IDENTIFIER.exactly().systemAndIdentifier(MRN, MARK + "ann")).execute()));
      same("ann", of(search(Patient.class).where(Patient.FAMILY.contains().value("erg" + MARK)).and(Patient.RES_ID.exactly().codes(ann, "x")).execute()));
      same("ann", of(search(Patient.class).where(Patient.BIRTHDATE.afterOrEquals().day("1980-05-17")).and(Patient.BIRTHDATE.before().day("1980-05-18")).and(own).and(Patient.ORGANIZATION.isMissing(false)).execute()));
      same("day6 day7", of(search(Observation.class).where(Observation.VALUE_QUANTITY.greaterThan().number(105).andUnits(UCUM, "mg/dL")).and(Observation.PATIENT.hasId(ann)).execute()));
      same("day7", of(search(Observation.class).where(Observation.CODE_VALUE_QUANTITY.withLeft(Observation.CODE.exactly().systemAndCode(LOINC, "2339-0")).withRight(Observation.VALUE_QUANTITY.greaterThan().number(106).andUnits(UCUM, "mg/dL"))).and(Observation.PATIENT.hasId(ann)).execute()));
      same("risk", of(search(RiskAssessment.class).where(RiskAssessment.PROBABILITY.greaterThan().number("0.2")).and(RiskAssessment.PATIENT.hasId(ann)).execute()));
      same("org", of(search(Organization.class).where(Organization.NAME.matchesExactly().value("Org" + MARK)).lastUpdated(new DateRangeParam(new Date(0), null)).execute()));
    });
    story("the id of an answer finds what refers to it, version and all", () -> {
      var made = client.create().resource(new Patient().setActive(true)).execute().getId();
      stored(glucose(made.getIdPart(), 1), "about");
      var read = client.read().resource(Patient.class).withId(made.getIdPart()).execute().getIdElement();
      for (var id : List.of((IdType) made, read)) {
        same(true, id.hasVersionIdPart());
        same("about", of(search(Observation.class).where(Observation.SUBJECT.hasId(id)).execute()));
        same("about", of(search(Observation.class).where(Observation.PATIENT.hasAnyOfIds(id.getValue(), "Patient/x")).execute()));
      }
    });
    story("chains and includes go to what is referred to, and back", () -> {
      var organization = Organization.NAME.matches().value("Org" + MARK);
      same(7, search(Observation.class).where(Observation.PATIENT.hasChainedProperty(Patient.ORGANIZATION.hasChainedProperty(organization))).execute().getEntry().size());
      same("ann", of(search(Patient.class).whereMap(Map.of("_has:Observation:patient:code", List.of(LOINC + "|2339-0"), "family", List.of("Berg" + MARK))).execute()));
      same("ann day1 org", of(search(Observation.class).where(Observation.RES_ID.exactly().code(MARK + "day1")).include(Observation.INCLUDE_PATIENT).include(Patient.INCLUDE_ORGANIZATION.asRecursive()).execute()));
      same("ann org risk", of(search(Patient.class).where(Patient.RES_ID.exactly().code(ann)).include(new Include("*")).revInclude(RiskAssessment.INCLUDE_PATIENT).execute()));
    });
    story("pages come in order, with a total where it is asked for", () -> {
      var asked = search(Observation.class).where(Observation.PATIENT.hasId(ann)).sort().descending(Observation.DATE).count(3);
      var page = asked.totalMode(SearchTotalModeEnum.ACCURATE).execute();
      same(7, page.getTotal());
      same(7, asked.totalMode(SearchTotalModeEnum.ESTIMATED).execute().getTotal());
      var found = new ArrayList<>(BundleUtil.toListOfResources(CONTEXT, page));
      for (; page.getLink(Bundle.LINK_NEXT) != null; found.addAll(BundleUtil.toListOfResources(CONTEXT, page))) page = client.loadPage().next(page).execute();
      same("day7 day6 day5 day4 day3 day2 day1", found.stream().map(each -> each.getIdElement().getIdPart().replace(MARK, "")).collect(Collectors.joining(" ")));
    });
    story("each style of a search finds the same", () -> {
      for (var style : SearchStyleEnum.values()) same("ann", of(search(Patient.class).where(Patient.RES_ID.exactly().code(ann)).usingStyle(style).execute()));
      same("ann", of(client.search().byUrl("Patient?_id=" + ann).returnBundle(Bundle.class).execute()));
      same(7, search(Patient.class).withIdAndCompartment(ann, "Observation").execute().getEntry().size());
      same("ann", of(client.search().forAllResources().where(Patient.RES_ID.exactly().code(ann)).returnBundle(Bundle.class).execute()));
    });
    story("as much of a resource is sent as is asked for", () -> {
      same(false, client.read().resource(Patient.class).withId(ann).elementsSubset("birthDate").execute().hasName());
      var named = client.read().resource(Patient.class).withId(ann).elementsSubset("name.family").execute();
      same("true false", named.hasName() + " " + named.hasBirthDate());
      same(false, client.read().resource(Patient.class).withId(ann).summaryMode(SummaryEnum.TEXT).execute().hasName());
      var counted = search(Patient.class).where(Patient.RES_ID.exactly().code(ann)).summaryMode(SummaryEnum.COUNT).execute();
      same("1 0", counted.getTotal() + " " + counted.getEntry().size());
    });
    story("tags are kept, added, found and taken away", () -> {
      var tagged = patient("tag");
      tagged.getMeta().addTag(MRN, MARK, "first").addSecurity("http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "R", null);
      var id = new IdType("Patient", stored(tagged, "tag"));
      same("tag", of(search(Patient.class).withTag(MRN, MARK).withSecurity("http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "R").execute()));
      var more = new Meta().addTag(MRN, "second", null);
      same(2, client.meta().add().onResource(id).meta(more).execute().getTag().size());
      same(1, client.meta().delete().onResource(id).meta(more).execute().getTag().size());
      same(1, client.meta().get(Meta.class).fromResource(id).execute().getTag().size());
    });
    story("a transaction happens whole or not at all", () -> {
      var builder = new BundleBuilder(CONTEXT);
      var person = patient("entry");
      person.setId("urn:uuid:11111111-2222-4333-8444-555555555555");
      builder.addTransactionCreateEntry(person).conditional("Patient?identifier=" + MRN + "|" + MARK + "entry");
      builder.addTransactionCreateEntry(glucose("x", 1).setSubject(new Reference(person.getId())));
      builder.addTransactionFhirPatchEntry(new IdType("Patient", ann), change("Patient.birthDate", new DateType("1980-05-18")));
      var done = client.transaction().withBundle((Bundle) builder.getBundle()).execute();
      var ids = done.getEntry().stream().map(entry -> new IdType(entry.getResponse().getLocation())).toList();
      same("Patient/" + ids.get(0).getIdPart(), client.read().resource(Observation.class).withId(ids.get(1).getIdPart()).execute().getSubject().getReference());
      var broken = new BundleBuilder(CONTEXT);
      broken.addTransactionUpdateEntry(patient("half").setId("Patient/" + MARK + "half"));
      broken.addTransactionCreateEntry(new Observation().setStatus(Observation.ObservationStatus.FINAL));
      refused(UnprocessableEntityException.class, () -> client.transaction().withBundle((Bundle) broken.getBundle()).execute());
      refused(ResourceNotFoundException.class, () -> client.read().resource(Patient.class).withId(MARK + "half").execute());
    });
    story("lists of resources, and deletes alone, are transactions", () -> {
      same(2, client.transaction().withResources(List.of(patient("first"), patient("second"))).execute().size());
      var deletes = new BundleBuilder(CONTEXT);
      deletes.addTransactionDeleteEntryConditional("Patient?identifier=" + MRN + "|" + MARK + "first");
      client.transaction().withBundle((Bundle) deletes.getBundle()).execute();
      var left = Patient.IDENTIFIER.exactly().systemAndValues(MRN, MARK + "first", MARK + "second");
      same(MARK + "second", ((Patient) search(Patient.class).where(left).execute().getEntryFirstRep().getResource()).getIdentifierFirstRep().getValue());
    });
    story("a batch answers each entry", () -> {
      var batch = new Bundle().setType(Bundle.BundleType.BATCH);
      for (var url : List.of("Patient/" + ann, "Patient/" + MARK + "absent", "Observation?patient=" + ann)) batch.addEntry().getRequest().setMethod(Bundle.HTTPVerb.GET).setUrl(url);
      same(List.of("200", "404", "200"), client.transaction().withBundle(batch).execute().getEntry().stream().map(entry -> entry.getResponse().getStatus().substring(0, 3)).toList());
    });
    story("operations are called by GET and POST", () -> {
      var record = client.operation().onInstance("Patient/" + ann).named("$everything");
      same("ann day1 day2 day3 day4 day5 day6 day7 org risk", of(record.withNoParameters(Parameters.class).returnResourceType(Bundle.class).execute()));
      same("day1 day2 day3 day4 day5 day6 day7", of(record.withParameter(Parameters.class, "_type", new StringType("Observation")).useHttpGet().returnResourceType(Bundle.class).execute()));
      same("day6 day7", of(client.operation().onType(Observation.class).named("$lastn").withParameter(Parameters.class, "patient", new StringType("Patient/" + ann)).andParameter("max", new PositiveIntType(2)).useHttpGet().returnResourceType(Bundle.class).execute()));
      var gender = new UriType("http://hl7.org/fhir/administrative-gender");
      same("Male", client.operation().onType(CodeSystem.class).named("$lookup").withParameter(Parameters.class, "code", new CodeType("male")).andParameter("system", gender).execute().getParameter("display").getValue().primitiveValue());
      same(4, client.operation().onType(ValueSet.class).named("$expand").withParameter(Parameters.class, "url", new UriType("http://hl7.org/fhir/ValueSet/administrative-gender")).useHttpGet().returnResourceType(ValueSet.class).execute().getExpansion().getContains().size());
      var outcome = (OperationOutcome) client.validate().resource(patient("valid")).execute().getOperationOutcome();
      same(true, outcome.getIssue().stream().noneMatch(issue -> issue.getSeverity() == OperationOutcome.IssueSeverity.ERROR));
    });
    story("the content of a Binary comes back as it was sent", () -> {
      var contents = Map.of("text/plain", "hällo", "application/json", "{\"a\":1.50}", "text/xml", "<ClinicalDocument xmlns='urn:hl7-org:v3'/>");
      for (var content : contents.entrySet()) {
        var id = client.create().resource(new Binary().setContentType(content.getKey()).setData(content.getValue().getBytes(StandardCharsets.UTF_8))).execute().getId();
        var read = client.read().resource(Binary.class).withId(id.getIdPart()).execute();
        same(content.getKey() + " " + content.getValue(), read.getContentType() + " " + new String(read.getData(), StandardCharsets.UTF_8));
      }
    });
    story("bodies may be packed", () -> {
      var packing = signedIn(CONTEXT.newRestfulGenericClient(BASE));
      packing.registerInterceptor(new GZipContentInterceptor());
      same(true, packing.create().resource(patient("packed")).execute().getCreated());
    });
    story("a declared client reads, finds, creates, changes and deletes", () -> {
      var declared = signedIn(CONTEXT.newRestfulClient(Declared.class, BASE));
      var id = declared.create(patient("declared")).getId().toUnqualifiedVersionless();
      same(1, declared.find(new TokenParam(MRN, MARK + "declared")).size());
      var read = declared.read((IdType) id);
      same("2", declared.update((IdType) id, read.setActive(false)).getId().getVersionIdPart());
      declared.delete((IdType) id);
      refused(ResourceGoneException.class, () -> declared.read((IdType) id));
    });
  }
}
