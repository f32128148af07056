//! Reads: pages of fifty products with their categories, as a shop's front end asks for them over GraphQL, beside `pgbench`
//! that asks the same tables for the same columns of the same pages with the same two statements. Both take the pages of the
//! whole shop at random; the first page alone, again and again, is measured as well.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use super::Bench;
use crate::Result;
use crate::chance::Chance;
use crate::contender::pgbench::Scripts;
use crate::figures::{Ratio, grouped, median};
use crate::http::{Connection, Url};
use crate::load::{self, Client};
use crate::report::say;
use crate::requirement::Verdict;
use crate::server::Server;
use crate::work::{Outcome, Spec};

/// Categories, and the products in each.
const CATEGORIES: u32 = 100;
const PRODUCTS: u32 = 10;
/// Products on a page.
const PAGE: usize = 50;

/// What is asked for: the page after a product.
const DOCUMENT: &str =
    "query($after: ID!) { products(where: { id: { gt: $after } }, limit: 50) { id name price category { id name } } }";

/// The first page.
const FIRST: &str = "{ products(limit: 50) { id name price category { id name } } }";

/// What came of it.
#[derive(Debug, Serialize)]
pub struct Reads {
    /// How many pages there are.
    pub pages: usize,
    /// All pages at random.
    pub any: Sides,
    /// The first page again and again.
    pub first: Sides,
    /// What went wrong, if something did.
    pub trouble: Option<String>,
}

/// Pages a second, in each round.
#[derive(Debug, Default, Serialize)]
pub struct Sides {
    /// Over GraphQL.
    pub graphql: Vec<Option<f64>>,
    /// What pgbench did: both statements make one page.
    pub statements: Vec<Option<f64>>,
}

/// A page: how it is asked for, and what has to come.
struct Page {
    /// The last product before it; none before the first page of all.
    after: Option<String>,
    /// The body of the request.
    body: Vec<u8>,
    data: Value,
}

/// What takes its turn in a round: pages over GraphQL or by statements, any of them or the first.
#[derive(Debug, Clone, Copy)]
struct Turn {
    over_graphql: bool,
    any: bool,
}

impl Reads {
    /// Fills the tables through the server, and reads them both ways in turns.
    ///
    /// # Errors
    /// When the shop can't be set up.
    pub async fn measure(bench: &Bench) -> Result<Self> {
        let database = bench.cluster.database().await;
        let catalog = bench.place.component("plugins", "catalog")?;
        let server = Server::start(&bench.place, "reads", &catalog, Some(&database)).await?;
        let url = server.graphql();
        fill(&url).await?;
        bench.cluster.query(&database, "analyze").await?;
        let (any, first) = (pages(&url).await?, [page(&url, None).await?]);
        let tables = tables(bench, &database).await?;
        let scripts = |name: &str, pages: &[Page]| {
            let all: Vec<String> = pages.iter().map(|page| statements(&tables, page)).collect();
            let all: Vec<&str> = all.iter().map(String::as_str).collect();
            Scripts::write(&bench.place, &bench.cluster, name, database.clone(), &all)
        };
        let (mut any_statements, mut first_statements) =
            (scripts("reads-statements", &any)?, scripts("reads-first-statements", &first)?);
        let (any, first) = (asked(&any), asked(&first));
        let (spec, mut chance) = (bench.spec(), Chance::new(bench.arguments.seed));
        let mut found = Self { pages: any.len(), any: Sides::default(), first: Sides::default(), trouble: None };
        for round in 1..=bench.arguments.rounds {
            // What comes first in a round is left to chance, as everywhere.
            let mut turns =
                [true, false].map(|any| [true, false].map(|over_graphql| Turn { over_graphql, any })).concat();
            chance.shuffle(&mut turns);
            for Turn { over_graphql, any: is_any } in turns {
                let spec = Spec { seed: chance.bits(), ..spec.clone() };
                let outcome = match (over_graphql, is_any) {
                    (true, true) => ask(&url, &spec, &any).await,
                    (true, false) => ask(&url, &spec, &first).await,
                    (false, true) => any_statements.run(&spec, &[]).await,
                    (false, false) => first_statements.run(&spec, &[]).await,
                };
                let rate = found.rate_of(outcome);
                let sides = if is_any { &mut found.any } else { &mut found.first };
                if over_graphql { sides.graphql.push(rate) } else { sides.statements.push(rate) }
            }
            let shown = |figures: &[Option<f64>]| figures.last().copied().flatten().map_or("-".into(), grouped);
            say(&format!(
                "    round {round} of {}  GraphQL {:>8}/s  the statements {:>8}/s  of the first page alone {:>8}/s and {:>8}/s",
                bench.arguments.rounds,
                shown(&found.any.graphql),
                shown(&found.any.statements),
                shown(&found.first.graphql),
                shown(&found.first.statements)
            ));
        }
        Ok(found)
    }

    fn rate_of(&mut self, outcome: Result<Outcome>) -> Option<f64> {
        let outcome = outcome.and_then(|outcome| match outcome.first_error.clone() {
            Some(error) => Err(error),
            None => Ok(outcome.rate()),
        });
        outcome.map_err(|reason| self.trouble.get_or_insert(reason).clone()).ok()
    }

    /// What is reached.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let what =
            "50 products with their category, GraphQL, PostgreSQL, 32 clients / the same two statements by pgbench";
        let ratio = self.any.ratio();
        let ratio =
            ratio.map_err(|reason| self.trouble.clone().map_or(reason, |trouble| format!("it failed: {trouble}")));
        Verdict::of_ratio(what, ratio, 0.5)
    }
}

impl Sides {
    /// The medians of pages a second: over GraphQL, and by the statements.
    #[must_use]
    pub fn rates(&self) -> [Option<f64>; 2] {
        [&self.graphql, &self.statements].map(|rates| median(&rates.iter().flatten().copied().collect::<Vec<_>>()))
    }

    /// How GraphQL compares with the statements.
    ///
    /// # Errors
    /// Says why there is no ratio.
    pub fn ratio(&self) -> std::result::Result<Ratio, String> {
        Ratio::of(&self.graphql, &self.statements)
    }
}

async fn send(connection: &mut Connection, document: &str, variables: Value) -> Result<Value> {
    let body = json!({ "query": document, "variables": variables }).to_string();
    let (status, answer) = connection.send(body.as_bytes()).await?;
    let told = || format!("status {status}: {}", String::from_utf8_lossy(answer));
    let mut answer: Value = serde_json::from_slice(answer).map_err(|_| told())?;
    if status != 200 || answer.get("errors").is_some() {
        return Err(answer.to_string());
    }
    Ok(answer["data"].take())
}

/// Fills the shop, category by category.
async fn fill(url: &Url) -> Result<()> {
    let mut connection = Connection::open(url, "POST").await?;
    for category in 0..CATEGORIES {
        let document = "mutation($n: String!) { createCategory(input: { name: $n }) { id } }";
        let created = send(&mut connection, document, json!({ "n": format!("Category {category}") })).await?;
        let document = "mutation($n: String!, $c: ID!) { createProduct(input: { name: $n, price: \"19.99\", categoryId: $c }) { id } }";
        for product in 0..PRODUCTS {
            let name = format!("Product {product} of category {category}");
            let variables = json!({ "n": name, "c": created["createCategory"]["id"] });
            send(&mut connection, document, variables).await?;
        }
    }
    Ok(())
}

/// All pages of the shop.
async fn pages(url: &Url) -> Result<Vec<Page>> {
    let mut all: Vec<Page> = Vec::new();
    while all.len() * PAGE < (CATEGORIES * PRODUCTS) as usize {
        let last = all.last().and_then(|page| page.data["products"][PAGE - 1]["id"].as_str());
        let after = last.unwrap_or_default().to_owned();
        all.push(page(url, Some(after)).await?);
    }
    Ok(all)
}

/// A page, after it has been looked at once.
async fn page(url: &Url, after: Option<String>) -> Result<Page> {
    let mut connection = Connection::open(url, "POST").await?;
    let (document, variables) = match &after {
        Some(after) => (DOCUMENT, json!({ "after": after })),
        None => (FIRST, json!({})),
    };
    let data = send(&mut connection, document, variables.clone()).await?;
    let products = data["products"].as_array().map_or(&[][..], Vec::as_slice);
    let whole = products.len() == PAGE && products.iter().all(|product| product["category"]["name"].is_string());
    let body = json!({ "query": document, "variables": variables }).to_string().into_bytes();
    if whole { Ok(Page { after, body, data }) } else { Err(format!("the page is {data}")) }
}

/// The tables in which the server keeps products and categories.
async fn tables(bench: &Bench, database: &str) -> Result<[String; 2]> {
    let table = async |has_price: &str| {
        let statement = format!(
            "select quote_ident(table_name) from information_schema.tables t where table_name like 'rm\\_%' and exists (select \
             from information_schema.columns c where c.table_name = t.table_name and c.column_name = 'price') = {has_price}"
        );
        let found = bench.cluster.query(database, &statement).await?;
        if found.lines().count() == 1 { Ok(found) } else { Err(format!("these tables may be meant: {found}")) }
    };
    Ok([table("true").await?, table("false").await?])
}

/// The two statements of a page. Which categories the second one asks for is known beforehand, which spares `pgbench` to find
/// it out.
fn statements([products, categories]: &[String; 2], page: &Page) -> String {
    let ids =
        page.data["products"].as_array().into_iter().flatten().filter_map(|product| product["category"]["id"].as_str());
    let ids: BTreeSet<&str> = ids.collect();
    let ids = ids.into_iter().map(|id| format!("'{id}'")).collect::<Vec<_>>().join(", ");
    let after = page.after.as_ref().map(|after| format!(" and id > '{after}'")).unwrap_or_default();
    format!(
        "select id, name, price::text, \"categoryId\" from {products} where _tenant = 'default'{after} order by id limit 50;\n\
         select id, name from {categories} where _tenant = 'default' and id = any (array[{ids}]);\n"
    )
}

/// How a page is asked for, and how many bytes an answer has at least.
type Asked = (Vec<u8>, usize);

/// What clients need of pages.
fn asked(pages: &[Page]) -> Arc<[Asked]> {
    pages.iter().map(|page| (page.body.clone(), format!("{{\"data\":{}", page.data).len())).collect()
}

/// Lets clients ask for these pages, each as often as any other.
async fn ask(url: &Url, spec: &Spec, pages: &Arc<[Asked]>) -> Result<Outcome> {
    let (at, pages) = (url.clone(), pages.clone());
    let reader = move |connection| Reader { url: at.clone(), connection: Some(connection), pages: pages.clone() };
    load::apart(url, spec, reader).await
}

struct Reader {
    url: Url,
    /// None after it has broken.
    connection: Option<Connection>,
    pages: Arc<[Asked]>,
}

impl Client for Reader {
    async fn operate(&mut self, number: u32) -> Result<()> {
        let (body, length) = &self.pages[number as usize % self.pages.len()];
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(&self.url, "POST").await?,
        };
        let (status, answer) = connection.send(body).await?;
        // What is on a page never changes. Its length tells an error from it, and costs the clients no time that the server
        // lacks.
        if status != 200 || answer.len() < *length {
            let said: String = String::from_utf8_lossy(answer).chars().take(500).collect();
            return Err(format!("status {status}: {said}"));
        }
        self.connection = Some(connection);
        Ok(())
    }
}
